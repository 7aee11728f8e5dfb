"""The choice of gaps: as much of a run is shown as the width of the picture allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fsm_engine.render.text_metrics import Text
from fsm_engine.render.timeline.elision import DETAIL_LEVELS, Gap, find_gaps, merge_gaps
from fsm_engine.render.timeline.engine_records import EngineRecord
from fsm_engine.render.timeline.lanes import SMALL
from fsm_engine.render.timeline.pauses import find_pauses, shown_innermost
from fsm_engine.render.timeline.segments import Segment
from fsm_engine.render.timeline.time_axis import TimeAxis, make_axis
from fsm_engine.timeline.units import format_duration

PAUSE_WIDTH = 64.0
"""The greatest width of the break of a pause, in pixels."""

REPETITION_WIDTH = 30.0
"""The least width of a shown repetition, in pixels, on average."""


def fit_axis(engines: Sequence[EngineRecord], left: float, right: float) -> TimeAxis:
    """Return the axis from `left` to `right` with the greatest level of detail that fits."""
    width = right - left
    start = min(engine.runs[0].start for engine in engines)
    end = max(engine.runs[-1].end for engine in engines)

    def axis_with(gaps: list[Gap]) -> TimeAxis:
        return make_axis(start, end, gaps, {gap: _break_width(gap) for gap in gaps}, left, right)

    parts = [(engine.number, part) for engine in engines for part in _runs_by_host(engine)]
    gaps: list[Gap] = []
    axis, repetitions = axis_with(gaps), 0
    for level in DETAIL_LEVELS:
        gaps = merge_gaps([gap for number, part in parts for gap in find_gaps(part, level, number)])
        axis = axis_with(gaps)
        repetitions = sum(1 for engine in engines for run in engine.runs for _ in shown_innermost(run, axis))
        if repetitions * REPETITION_WIDTH + sum(map(_break_width, gaps)) <= width:
            break
    free = width - repetitions * REPETITION_WIDTH / 2 - sum(map(_break_width, gaps))
    pauses = find_pauses(engines, axis, most=max(int(free // PAUSE_WIDTH), 0))
    return axis_with(merge_gaps([*gaps, *pauses])) if pauses else axis


def break_text(gap: Gap) -> Text:
    """Return the text of a break: the description of the gap and its duration."""
    lines = [word for part in gap.content.split(", ") for word in part.rsplit(" ", 1)] if gap.content else []
    return Text((*lines, f"({format_duration(gap.end - gap.start)})"), SMALL)


def _break_width(gap: Gap) -> float:
    return break_text(gap).width + 14


def _runs_by_host(engine: EngineRecord) -> Iterator[Segment]:
    """Yield a segment for the runs of an engine that happened inside the same host."""
    groups: dict[object, list[Segment]] = {}
    for number, run in enumerate(engine.runs):
        groups.setdefault(engine.hosts[number] if engine.hosts else None, []).append(run)
    for runs in groups.values():
        indices = range(runs[0].indices.start, runs[-1].indices.stop)
        yield Segment(runs[0].features, "", indices, runs=tuple(runs))
