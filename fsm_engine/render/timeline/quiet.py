"""Long times in which nothing new happens, such as a checkpoint that is written: their middle is left out, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from statistics import median

from fsm_engine.render.timeline.elision import Gap
from fsm_engine.render.timeline.recorded import Recorded
from fsm_engine.render.timeline.scale import Scale
from fsm_engine.render.timeline.stretches import Part, Stretch, end, start
from fsm_engine.timeline.visits import Visit

LONG, SHORT = 8, 4
"""From how many times the usual on a time is long, and how many times the usual is shown of it then."""


def shown(engine: Recorded, scale: Scale) -> Iterator[Visit]:
    """Yield the visits of an engine of which something is shown."""
    return chain.from_iterable(_shown(run, scale) for run in engine.runs)


def _shown(part: Part, scale: Scale) -> Iterator[Visit]:
    if scale.shows(start(part), end(part)):
        if isinstance(part, Stretch):
            for inner in part.parts:
                yield from _shown(inner, scale)
        else:
            yield part


def innermost(stretch: Stretch, scale: Scale) -> Iterator[Stretch]:
    """Yield the stretches with none inside that are shown."""
    if scale.shows(start(stretch), end(stretch)):
        if not stretch.inner:
            yield stretch
        for inner in stretch.inner:
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
