"""The waits of ranks for each other, from the calls of collectives and from the visits of phases.

A collective of `fsm_engine.distributed` is recorded. A rank waits in it until the last rank has called it. Collectives
of DistributedDataParallel and of users are not recorded. Their waits are derived from phases in which ranks meet:

- A visit is a meeting if no rank leaves the phase before the last rank has entered it, and the exits of the ranks are
  at most half as far apart as their entries.
- Ranks meet in a phase if at least three visits are meetings, and these have at least half of the time by which the
  entries of all visits are apart.
- In a meeting, the wait of a rank is as long as it entered before the last rank, but no longer than its visit is longer
  than the visit of the last rank. It is taken to be the end of the visit.
- A visit with a recorded collective, and one in which another recorded engine ran, have no derived wait.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from fsm_engine.timeline.rank import Rank
from fsm_engine.timeline.rank_visits import JointVisit, RankVisit, engines_of_ranks, joint_visits
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import NamedSpans

_LEAST_MEETINGS = 3


_WALL_CLOCK_ERROR = 1_000_000  # nanoseconds; what clocks of machines with a time server have


class Wait(NamedTuple):
    """A wait of a rank for other ranks.

    Attributes:
        start: when it began, in nanoseconds.
        end: when it ended.
        cause: the purpose of the collective, or the qualified name of the phase.
        is_measured: True for a recorded collective, False if the wait is derived from the visits of a phase.
    """

    start: int
    end: int
    cause: str
    is_measured: bool


class _Call(NamedTuple):
    start: int
    end: int
    name: str
    is_wait: bool
    rank: int


def find_waits(timeline: Timeline) -> dict[int, list[Wait]]:
    """Return the waits of each rank of a merged timeline, in order. Waits within the error of clocks are left out."""
    ranks = {track.rank.number: track.rank for track in timeline.tracks if track.rank is not None}
    tolerance = 2 * max(map(_clock_error, ranks.values()), default=0)
    calls = [
        _Call(start, end, name, is_wait, track.rank.number)
        for track in timeline.tracks
        if track.rank is not None and track.collectives is not None
        for start, end, name, is_wait in track.collectives
    ]
    dropped = any(track.collectives is not None and track.collectives.ring.dropped for track in timeline.tracks)
    found = [*_waits_in_calls(calls, tolerance, dropped)]
    occupied = _Occupied(timeline, calls)
    for tracks in engines_of_ranks(timeline):
        found += _waits_in_phases(joint_visits(tracks), tolerance, occupied)
    waits: dict[int, list[Wait]] = {number: [] for number in ranks}
    for rank, wait in sorted(found):
        waits[rank].append(wait)
    return waits


def _clock_error(rank: Rank) -> int:
    return min((reading.error for reading in rank.readings), default=_WALL_CLOCK_ERROR)


def _waits_in_calls(calls: Iterable[_Call], tolerance: int, from_end: bool) -> Iterator[tuple[int, Wait]]:
    """Yield the waits in recorded collectives, each with its rank."""
    seen: Counter[tuple[int, str]] = Counter()
    together: defaultdict[tuple[str, int], list[_Call]] = defaultdict(list)
    for call in sorted(calls, reverse=from_end):
        if call.is_wait:
            yield call.rank, Wait(call.start, call.end, call.name, True)
            continue
        together[call.name, seen[call.rank, call.name]].append(call)
        seen[call.rank, call.name] += 1
    for group in together.values():
        last = max(call.start for call in group)
        if last <= min(call.end for call in group) + tolerance:  # else the recordings do not belong together
            for call in group:
                if last - call.start > tolerance:
                    yield call.rank, Wait(call.start, min(last, call.end), call.name, True)


class _Occupied:
    """The times of each rank with a recorded collective, and those at which a recorded engine moved."""

    def __init__(self, timeline: Timeline, calls: Iterable[_Call]) -> None:
        self._calls: dict[int, list[int]] = {}
        for rank, group in groupby(sorted(calls, key=lambda call: (call.rank, call.start)), lambda call: call.rank):
            self._calls[rank] = [call.start for call in group]
        moves: defaultdict[int, list[int]] = defaultdict(list)
        for track in timeline.tracks:
            if track.rank is not None:
                moves[track.rank.number] += [time for time, *_ in track.move_ring]
        self._moves = {rank: sorted(times) for rank, times in moves.items()}

    def __contains__(self, visit: RankVisit) -> bool:
        """Return True if a collective or a move of another engine lies inside a visit."""
        return any(
            bisect_left(times, visit.end) > bisect_left(times, visit.start + 1)
            for times in (self._calls.get(visit.rank, []), self._moves[visit.rank])
        )


def _waits_in_phases(joint: Iterable[JointVisit], tolerance: int, occupied: _Occupied) -> Iterator[tuple[int, Wait]]:
    """Yield the waits in phases in which ranks meet, each with its rank."""
    by_phase: defaultdict[str, list[JointVisit]] = defaultdict(list)
    for one in joint:
        if one.entry_spread > tolerance:
            by_phase[one.phase].append(one)
    for phase, visits in by_phase.items():
        meetings = [one for one in visits if _is_meeting(one, tolerance)]
        if _ranks_meet(meetings, visits):
            for meeting in meetings:
                for visit in meeting.visits:
                    length = _length(visit, meeting.last)
                    if length > tolerance and visit not in occupied:
                        yield visit.rank, Wait(visit.end - length, visit.end, phase, False)


def _is_meeting(one: JointVisit, tolerance: int) -> bool:
    first_exit = min(visit.end for visit in one.visits)
    return first_exit + tolerance >= one.last.start and 2 * one.exit_spread <= one.entry_spread


def _ranks_meet(meetings: Sequence[JointVisit], visits: Sequence[JointVisit]) -> bool:
    spread, whole = (sum(one.entry_spread for one in group) for group in (meetings, visits))
    return len(meetings) >= _LEAST_MEETINGS and 2 * spread >= whole


def _length(visit: RankVisit, last: RankVisit) -> int:
    return min(last.start - visit.start, (visit.end - visit.start) - (last.end - last.start))


def add_waits(timeline: Timeline) -> None:
    """Add the waits of each rank to its first track, in place of the calls of collectives."""
    for rank, waits in find_waits(timeline).items():
        tracks = [track for track in timeline.tracks if track.rank is not None and track.rank.number == rank]
        for track in tracks:
            track.collectives = None
        spans = tracks[0].waits = NamedSpans(max(len(waits), 1))
        for wait in waits:
            spans.add(*wait)
