"""Long pauses, such as the writing of a checkpoint: their middle is left out of the picture."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import attrgetter
from statistics import median

from fsm_engine.render.timeline.elision import Gap
from fsm_engine.render.timeline.engine_records import EngineRecord
from fsm_engine.render.timeline.segments import Segment
from fsm_engine.render.timeline.time_axis import TimeAxis
from fsm_engine.timeline.visits import Visit

LONG, SHOWN = 8, 4
"""A pause longer than `LONG` usual durations is shortened to `SHOWN` usual durations."""


def shown_visits(engine: EngineRecord, axis: TimeAxis) -> Iterator[Visit]:
    """Yield the visits of an engine that are shown at least in part."""
    visits, index = engine.visits, 0
    for piece in axis.pieces:
        if piece.gap is not None:
            continue
        first = max(bisect_left(visits.starts, piece.start), index)
        if first > index and visits.end(first - 1) > piece.start:
            first -= 1
        is_last = piece is axis.pieces[-1]
        index = len(visits) if is_last else max(bisect_left(visits.starts, piece.end), first)
        yield from map(visits.__getitem__, range(first, index))


def shown_segments(segments: Sequence[Segment], axis: TimeAxis) -> Iterator[Segment]:
    """Yield the segments, which are in order, that are shown at least in part."""
    index = 0
    while index < len(segments):
        gap_end = axis.gap_end(segments[index].start)
        if gap_end is None or segments[index].end > gap_end:
            yield segments[index]
            index += 1
        else:  # the last segment that begins in the gap may end after it
            index = max(bisect_left(segments, gap_end, lo=index, key=attrgetter("start")) - 1, index + 1)


def shown_innermost(segment: Segment, axis: TimeAxis) -> Iterator[Segment]:
    """Yield the shown segments without inner segments."""
    for one in shown_segments((segment,), axis):
        if not one.inner:
            yield one
        for inner in shown_segments(one.inner, axis):
            yield from shown_innermost(inner, axis)


def find_pauses(engines: Sequence[EngineRecord], axis: TimeAxis, most: int) -> list[Gap]:
    """Return the gaps for the longest pauses, at most `most`: times without an event that are shown completely.

    The usual duration is the median duration of a shown repetition.
    """
    times = sorted({time for engine in engines for time in _event_times(engine, axis)})
    repeated = [one.end - one.start for engine in engines for run in engine.runs for one in shown_innermost(run, axis)]
    usual = int(median(repeated or [after - before for before, after in pairwise(times)] or [0]))
    long = sorted((before - after, before, after) for before, after in pairwise(times) if after - before > LONG * usual)
    margin = usual * SHOWN // 2
    gaps = [Gap(before + margin, after - margin, "", -1, engines[0].number) for _, before, after in long]
    return [gap for gap in gaps if axis.shows_all(gap.start, gap.end)][:most]


def _event_times(engine: EngineRecord, axis: TimeAxis) -> Iterator[int]:
    for visit in shown_visits(engine, axis):
        yield from (visit.entered.time, visit.left.time)
        for span in visit.spans:
            yield from (span.start, span.end)
