"""Visits that several ranks made at the same place of their runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import Track
from fsm_engine.timeline.visits import Visits


class RankVisit(NamedTuple):
    """A visit on one rank.

    Attributes:
        start: when the rank entered the phase, in nanoseconds.
        end: when it left the phase.
        rank: the number of the rank.
    """

    start: int
    end: int
    rank: int


class JointVisit(NamedTuple):
    """The visits of one phase that all ranks made at the same place.

    Attributes:
        phase: the qualified name of the phase.
        visits: the visit of each rank.
    """

    phase: str
    visits: Sequence[RankVisit]

    @property
    def entry_spread(self) -> int:
        """The time from the first to the last entry, in nanoseconds."""
        starts = [visit.start for visit in self.visits]
        return max(starts) - min(starts)

    @property
    def exit_spread(self) -> int:
        """The time from the first to the last exit."""
        ends = [visit.end for visit in self.visits]
        return max(ends) - min(ends)

    @property
    def last(self) -> RankVisit:
        """The visit that began last."""
        return max(self.visits)


def engines_of_ranks(timeline: Timeline) -> list[list[Track]]:
    """Return the tracks of each engine that several ranks recorded, in the order of the first rank.

    The engines of two ranks correspond if they have the same name and number among the engines with that name.
    """
    seen: Counter[tuple[int, str]] = Counter()
    groups: defaultdict[tuple[str, int], list[Track]] = defaultdict(list)
    for track in timeline.tracks:
        if track.rank is not None:
            key = track.rank.number, track.name
            groups[track.name, seen[key]].append(track)
            seen[key] += 1
    return [tracks for tracks in groups.values() if len(tracks) > 1]


def joint_visits(tracks: Sequence[Track]) -> Iterator[JointVisit]:
    """Yield the visits that all of `tracks` have: of the same phase, epoch and iteration, and equally often repeated.

    Repetitions, such as the runs of an evaluator, are counted from the beginning; from the end if a track has dropped
    its beginning.
    """
    from_end = any(track.move_ring.dropped for track in tracks)
    first, *others = (dict(_keyed(track, from_end)) for track in tracks)
    for key, visit in first.items():
        if all(key in other for other in others):
            yield JointVisit(key[0], [visit, *(other[key] for other in others)])


_Key = tuple[str, int, int, int]


def _keyed(track: Track, from_end: bool) -> Iterator[tuple[_Key, RankVisit]]:
    visits, rank = Visits(track), 0 if track.rank is None else track.rank.number
    times, _, epochs, iterations = visits.moves
    seen: Counter[tuple[str, int, int]] = Counter()
    for index in range(len(visits) - 1, -1, -1) if from_end else range(len(visits)):
        move = visits.columns.entered[index]
        place = track.kinds[visits.kinds[index]].target, epochs[move], iterations[move]
        yield (*place, seen[place]), RankVisit(times[move], times[move + 1], rank)
        seen[place] += 1
