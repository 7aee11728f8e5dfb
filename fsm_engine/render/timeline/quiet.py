"""Long times in which nothing new happens, such as a checkpoint that is written: their middle is left out, too."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from fsm_engine.render.timeline.elision import Gap
from fsm_engine.render.timeline.recorded import Recorded
from fsm_engine.render.timeline.scale import Scale
from fsm_engine.render.timeline.stretches import Stretch, end, start
from fsm_engine.timeline.visits import Visit

LONG, SHORT = 8, 4
"""From how many times the usual on a time is long, and how many times the usual is shown of it then."""


def shown(engine: Recorded, scale: Scale) -> Iterator[Visit]:
    """Yield the visits of an engine of which something is shown."""
    visits, place = engine.visits, 0
    for piece in scale.pieces:
        if piece.gap is not None:
            continue
        first = max(bisect_left(visits.starts, piece.start), place)
        if first > place and visits.end(first - 1) > piece.start:
            first -= 1
        is_last = piece is scale.pieces[-1]
        place = len(visits) if is_last else max(bisect_left(visits.starts, piece.end), first)
        yield from map(visits.__getitem__, range(first, place))


def among(stretches: Sequence[Stretch], scale: Scale) -> Iterator[Stretch]:
    """Yield those of some stretches that are shown; they follow each other."""
    place = 0
    while place < len(stretches):
        hidden = scale.hidden_until(start(stretches[place]))
        if hidden is None or end(stretches[place]) > hidden:
            yield stretches[place]
            place += 1
        else:  # the last one that begins there may go on behind it
            place = max(bisect_left(stretches, hidden, lo=place, key=start) - 1, place + 1)


def innermost(stretch: Stretch, scale: Scale) -> Iterator[Stretch]:
    """Yield the stretches with none inside that are shown."""
    for one in among((stretch,), scale):
        if not one.inner:
            yield one
        for inner in among(one.inner, scale):
            yield from innermost(inner, scale)


def quiet(engines: Sequence[Recorded], scale: Scale, most: int) -> list[Gap]:
    """Return what is to be left out of `scale`, besides what is: the longest times in which nothing begins or ends.

    What is usual is how long it takes to do what is repeated.
    """
    times = sorted({time for engine in engines for time in _times(engine, scale)})
    steps = [end(one) - start(one) for engine in engines for run in engine.runs for one in innermost(run, scale)]
    usual = int(median(steps or [after - before for before, after in pairwise(times)] or [0]))
    long = sorted((before - after, before, after) for before, after in pairwise(times) if after - before > LONG * usual)
    rest = usual * SHORT // 2
    found = [Gap(before + rest, after - rest, "", -1, engines[0].number) for _, before, after in long]
    return [gap for gap in found if scale.shows_all(gap.start, gap.end)][:most]


def _times(engine: Recorded, scale: Scale) -> Iterator[int]:
    for visit in shown(engine, scale):
        yield from (visit.entered.time, visit.left.time)
        for span in visit.spans:
            yield from (span.start, span.end)
