"""The lanes of one engine: bars for scopes, activities and handler calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fsm_engine.render.text_metrics import text_width
from fsm_engine.render.timeline.engine_records import EngineRecord
from fsm_engine.render.timeline.pauses import shown_segments, shown_visits
from fsm_engine.render.timeline.segments import Segment
from fsm_engine.render.timeline.time_axis import TimeAxis
from fsm_engine.timeline.track import Span
from fsm_engine.timeline.units import format_duration
from fsm_engine.timeline.visits import Visit, category

CATEGORIES = {"data": "data", "step": "step", "phase": "other phases"}
"""The categories of activities, with the names of their lanes."""

NAME_WIDTH, SMALL = 86.0, 9.5
"""The greatest width of a lane name, in pixels, and the size of a small font."""

SAME = 4.0
"""Times that are at most this many pixels apart look the same."""


@dataclass(frozen=True)
class Item:
    """A bar.

    Attributes:
        start: when it begins, in nanoseconds.
        end: when it ends.
        role: ``scope``, ``data``, ``step``, ``phase``, ``handler`` or ``wait``.
        names: the texts that may be inside, longest first.
        tip: the text of the tooltip.
    """

    start: int
    end: int
    role: str
    names: tuple[str, ...]
    tip: str


@dataclass(frozen=True)
class Lane:
    """A row of bars that do not overlap.

    Attributes:
        name: the text before the row.
        share: the share of the time of all runs; None for scopes.
        items: the bars, in order.
        depths: the number of nested scopes that the row shows.
    """

    name: str
    share: float | None
    items: tuple[Item, ...]
    depths: int = 0


def engine_lanes(engine: EngineRecord, axis: TimeAxis) -> Iterator[Lane]:
    """Yield the lanes of an engine with the bars that are shown: scopes first, then activities, handlers, and waits."""
    yield from _scope_lanes(engine, axis)
    spent, in_handlers = dict.fromkeys(CATEGORIES, 0), 0
    for kind, _, time, handlers in engine.visits.totals():
        spent[category(kind)] += engine.estimate.scale(kind.target, time - handlers)
        in_handlers += engine.estimate.scale(kind.target, handlers)
    visits = list(shown_visits(engine, axis))
    whole = engine.duration or 1
    for key, name in CATEGORIES.items():
        items = (item for visit in visits if visit.category == key for item in _activity_items(visit))
        yield Lane(name, spent[key] / whole, tuple(item for item in items if axis.shows(item.start, item.end)))
    calls = tuple(_call_item(span) for visit in visits for span in visit.spans if axis.shows(span.start, span.end))
    yield Lane("handlers", in_handlers / whole, calls)
    waits = list(engine.visits.track.waits or ())
    items = (_wait_item(start, end, name) for start, end, name, _ in waits if axis.shows(start, end))
    yield Lane("waits", sum(end - start for start, end, *_ in waits) / whole, tuple(items))


def _scope_lanes(engine: EngineRecord, axis: TimeAxis) -> Iterator[Lane]:
    """Yield a lane for each depth of scopes. Scopes that begin and end together share a lane."""
    chains = [_chain(segment, axis) for run in engine.runs for segment in shown_segments(run.inner, axis)]
    while chains:
        depths = min(map(len, chains))
        chains = [chain[:depths] for chain in chains]
        names = list(dict.fromkeys(tuple(segment.name for segment in chain) for chain in chains))
        has_names = len(names) > 1
        items = tuple(_scope_item(chain, has_names) for chain in chains)
        yield Lane(" / ".join(map(", ".join, names)), None, items, depths)
        chains = [_chain(segment, axis) for chain in chains for segment in shown_segments(chain[-1].inner, axis)]


def _chain(segment: Segment, axis: TimeAxis) -> list[Segment]:
    """Return a scope with the inner scopes that look the same, as long as their names fit."""
    chain = [segment]
    while len(chain[-1].inner) == 1:
        (inner,) = chain[-1].inner
        names = ", ".join(part.name for part in (*chain, inner))
        if axis(inner.start) - axis(segment.start) > SAME or axis(segment.end) - axis(inner.end) > SAME:
            break
        if text_width(names, SMALL) > NAME_WIDTH:
            break
        chain.append(inner)
    return chain


def _scope_item(chain: list[Segment], has_names: bool) -> Item:
    """Return a bar for scopes, with the number of the epoch or iteration; with `has_names`, also with other names."""
    names: tuple[str, ...] = ()
    tips = []
    for segment in chain:
        counters = segment.first_visit.left
        number = {"epoch": counters.epoch, "iteration": counters.iteration}.get(segment.name)
        full = segment.name if number is None else f"{segment.name} {number}"
        if number is not None:
            names = (full, str(number))
        elif has_names:
            names = (full,)
        tips.append(f"{full}: {format_duration(segment.end - segment.start)}")
    return Item(chain[0].start, chain[0].end, "scope", names, "\n".join(tips))


def _activity_items(visit: Visit) -> Iterator[Item]:
    """Yield bars for the times of a visit between its handler calls."""
    time = visit.entered.time
    name = visit.phase.rpartition(".")[2]
    for start, end in (*((span.start, span.end) for span in visit.spans), (visit.left.time, visit.left.time)):
        if start > time:
            yield Item(time, start, visit.category, (name,), f"{name}: {format_duration(start - time)}")
        time = end


def _call_item(span: Span) -> Item:
    tip = f"{span.handler}: {format_duration(span.duration)}{', raised' if span.raised else ''}"
    return Item(span.start, span.end, "handler", (span.handler.name.rpartition(".")[2],), tip)


def _wait_item(start: int, end: int, cause: str) -> Item:
    name = cause.rpartition(".")[2]
    return Item(start, end, "wait", (name,), f"wait for other ranks in {name}: {format_duration(end - start)}")
