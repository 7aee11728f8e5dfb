"""The timelines of several ranks as one, on the clock of rank 0."""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple, TypeVar

from fsm_engine.timeline.files import load
from fsm_engine.timeline.rank import ClockReading, Rank, clock_shift
from fsm_engine.timeline.rank_waits import add_waits
from fsm_engine.timeline.ring import Ring
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import Track
from fsm_engine.timeline.units import format_duration

R = TypeVar("R", bound=Ring)
Shift = Callable[[int], int]


class _Recording(NamedTuple):
    """The timeline of one rank.

    Attributes:
        name: the name of its file, or its number in the arguments.
        timeline: the timeline.
        rank: its rank, with all readings of its clock.
    """

    name: str
    timeline: Timeline
    rank: Rank


def merge(recordings: Iterable[Timeline | str | os.PathLike[str]]) -> Timeline:
    """Return one timeline of several ranks; see `Timeline.merge`."""
    named = [
        (f"timeline {number}", one) if isinstance(one, Timeline) else (os.fspath(one), load(one))
        for number, one in enumerate(recordings, 1)
    ]
    if not named:
        raise ValueError("there is nothing to merge. Pass the timelines of all ranks, or their files.")
    found = sorted(_with_ranks(named), key=lambda one: one.rank.number)
    _check(found)
    lead = found[0]
    merged = Timeline(max(one.timeline.capacity for one in found))
    merged.wall = _wall(next((one for one in found if one.rank.readings), lead))
    for one in found:
        shift = _shift(one, merged.wall)
        clock = [ClockReading(shift(r.time), 0, r.error) for r in one.rank.readings]
        rank = replace(one.rank, readings=clock, run=one.rank.run or lead.rank.run)
        merged.tracks += [_shifted_track(track, shift, rank) for track in one.timeline.tracks]
        for name, counter in one.timeline.counters.items():
            moved = merged.counters[f"{rank}: {name}"] = _shifted(counter, (0,), shift)
            moved.rank = rank.number
    add_waits(merged)
    return merged


def _with_ranks(named: Sequence[tuple[str, Timeline]]) -> Iterator[_Recording]:
    """Yield the recordings with their ranks. If no recording has a rank, it is the number of the argument."""
    without = [name for name, timeline in named if not any(track.rank for track in timeline.tracks)]
    if without and len(without) < len(named):
        raise ValueError(
            f"{', '.join(without)}: recorded outside fsm_engine.distributed.session(), so the rank is unknown, but the "
            f"others have ranks. Merge recordings of one run."
        )
    for number, (name, timeline) in enumerate(named):
        if not timeline.tracks:
            raise ValueError(f"{name} has no tracks, because nothing was recorded. Leave it out.")
        ranks = [track.rank for track in timeline.tracks if track.rank is not None]
        if len({rank.number for rank in ranks}) > 1:
            raise ValueError(f"{name} has several ranks, because it was merged before. Pass the file of each rank.")
        if not ranks:
            yield _Recording(name, timeline, Rank(number, len(named)))
            continue
        readings = sorted({reading for rank in ranks for reading in rank.readings})
        yield _Recording(name, timeline, replace(ranks[0], readings=readings))


def _check(found: Sequence[_Recording]) -> None:
    """Raise ValueError unless the recordings are of different ranks of one run."""
    lead = found[0]
    for before, one in pairwise(found):
        if before.rank.number == one.rank.number:
            raise ValueError(f"{before.name} and {one.name} are both of {one.rank}. Pass one recording of each rank.")
    for one in found[1:]:
        if one.rank.world_size != lead.rank.world_size:
            sizes = (f"{lead.name} is of {lead.rank.world_size} ranks", f"{one.name} of {one.rank.world_size}")
            raise ValueError(f"{', '.join(sizes)}. Merge recordings of one run.")
        if one.rank.run and lead.rank.run and one.rank.run != lead.rank.run:
            raise ValueError(f"{lead.name} and {one.name} are of different runs. Merge recordings of one run.")
        if not (one.rank.readings or lead.rank.readings) and not _overlap(lead.timeline, one.timeline):
            raise ValueError(
                f"{lead.name} and {one.name} were recorded at different times. Merge recordings of one run."
            )


def _overlap(one: Timeline, other: Timeline) -> bool:
    """Return True if two timelines have a moment in common, according to the wall clock."""
    (start, end), (other_start, other_end) = map(_bounds, (one, other))
    return start <= other_end and other_start <= end


def _bounds(timeline: Timeline) -> tuple[int, int]:
    times = [move.time + timeline.wall for track in timeline.tracks for move in track.moves]
    return (min(times), max(times)) if times else (0, 2**63)


def _wall(one: _Recording) -> int:
    """Return the offset from a time of rank 0 to nanoseconds since 1970, according to the wall clock of a rank.

    Without readings, the clock of that rank counts as the clock of rank 0.
    """
    if not one.rank.readings:
        return one.timeline.wall
    first = one.rank.readings[0].time
    return one.timeline.wall + first - clock_shift(one.rank.readings)(first)


def _shift(one: _Recording, wall: int) -> Shift:
    """Return a function from a time of a rank to the time of rank 0."""
    if one.rank.readings:
        return clock_shift(one.rank.readings)
    by_wall_clock = one.timeline.wall - wall
    return lambda time: time + by_wall_clock


def _shifted_track(track: Track, shift: Shift, rank: Rank) -> Track:
    shifted = copy(track)
    shifted.rank = rank
    shifted.move_ring = _shifted(track.move_ring, (0,), shift)
    shifted.span_ring = _shifted(track.span_ring, (0, 1), shift)
    if track.collectives is not None:
        shifted.collectives = copy(track.collectives)
        shifted.collectives.ring = _shifted(track.collectives.ring, (0, 1), shift)
    return shifted


def _shifted(ring: R, fields: Iterable[int], shift: Shift) -> R:
    """Return a copy of `ring` with other times.

    Args:
        ring: the ring.
        fields: the positions of the times in a record, counted in words of 64 bits.
        shift: returns the new time.
    """
    words, size = array("q", ring.to_bytes()), ring.record.size // 8
    if sys.byteorder == "big":  # records are little-endian
        words.byteswap()
    for field in fields:
        words[field::size] = array("q", map(shift, words[field::size]))
    if sys.byteorder == "big":
        words.byteswap()
    return ring.with_bytes(words.tobytes())


def rank_notes(timeline: Timeline) -> list[str]:
    """Return sentences about the ranks of a merged timeline: which are missing, and how their clocks are aligned."""
    ranks = {track.rank.number: track.rank for track in timeline.tracks if track.rank is not None}
    if not ranks:
        return []
    lead = ranks[min(ranks)]
    missing = [number for number in range(lead.world_size) if number not in ranks]
    by_wall = [rank.number for rank in ranks.values() if not rank.readings]
    errors = [min(reading.error for reading in rank.readings) for rank in ranks.values() if rank.readings]
    notes = [f"No recording of {_numbers(missing)} of {lead.world_size}."] if missing else []
    if by_wall and len(ranks) > 1:
        notes.append(f"Clocks of {_numbers(by_wall)} are aligned by the wall clock, which may be milliseconds off.")
    if max(errors, default=0):
        notes.append(f"Clocks are aligned to within {format_duration(max(errors))}.")
    return notes


def _numbers(ranks: Sequence[int]) -> str:
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"
