"""The lanes of one engine: what goes on at the same time stands below each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fsm_engine.render.text_metrics import text_width
from fsm_engine.render.timeline.quiet import among, shown
from fsm_engine.render.timeline.recorded import Recorded
from fsm_engine.render.timeline.scale import Scale
from fsm_engine.render.timeline.stretches import Stretch, end, first, start
from fsm_engine.timeline.track import Span
from fsm_engine.timeline.units import duration
from fsm_engine.timeline.visits import Visit, spent_on

KINDS = {"data": "data", "step": "step", "phase": "other phases"}
"""What the time of phases is for, and what their lane is called."""


NAMES, SMALL = 86.0, 9.5
"""How wide the name of a lane may be, in pixels, and the size of a font that does not stand out."""

SAME = 4.0
"""How far apart two times may be, in pixels, to be taken for the same by the eye."""


@dataclass(frozen=True)
class Item:
    """Something that takes time.

    Attributes:
        start: when it begins, in nanoseconds.
        end: when it ends.
        role: ``scope``, ``data``, ``step``, ``phase`` or ``handler``.
        names: what may be written in it, the longest first.
        tip: all there is to say.
    """

    start: int
    end: int
    role: str
    names: tuple[str, ...]
    tip: str


@dataclass(frozen=True)
class Lane:
    """A row of items that do not overlap.

    Attributes:
        name: written before it.
        share: of the time of all runs, None where that says nothing.
        items: in their order.
        depths: how many scopes inside each other it stands for.
    """

    name: str
    share: float | None
    items: tuple[Item, ...]
    depths: int = 0


def lanes(one: Recorded, scale: Scale) -> Iterator[Lane]:
    """Yield the lanes of an engine, the outermost scopes first, with the items that are shown."""
    yield from _scopes(one, scale)
    spent, handled = dict.fromkeys(KINDS, 0), 0
    for kind, _, took, in_handlers in one.visits.totals():
        spent[spent_on(kind)] += one.estimate.of(kind.target, took - in_handlers)
        handled += one.estimate.of(kind.target, in_handlers)
    visits = list(shown(one, scale))
    whole = one.duration or 1
    for what, name in KINDS.items():
        activities = (item for visit in visits if visit.spent_on == what for item in _activities(visit))
        yield Lane(name, spent[what] / whole, tuple(item for item in activities if scale.shows(item.start, item.end)))
    calls = tuple(_call(span) for visit in visits for span in visit.spans if scale.shows(span.start, span.end))
    yield Lane("handlers", handled / whole, calls)


def _scopes(one: Recorded, scale: Scale) -> Iterator[Lane]:
    """Yield a lane per depth of scopes; scopes that last as long as the ones around them share theirs."""
    chains = [_chain(stretch, scale) for run in one.runs for stretch in among(run.inner, scale)]
    while chains:
        depths = min(map(len, chains))
        chains = [chain[:depths] for chain in chains]
        names = list(dict.fromkeys(tuple(stretch.name for stretch in chain) for chain in chains))
        told = len(names) > 1
        yield Lane(" / ".join(map(", ".join, names)), None, tuple(_scope(chain, told) for chain in chains), depths)
        chains = [_chain(stretch, scale) for chain in chains for stretch in among(chain[-1].inner, scale)]


def _chain(stretch: Stretch, scale: Scale) -> list[Stretch]:
    """Return a scope with those in it that look the same, if their names fit."""
    chain = [stretch]
    while len(chain[-1].inner) == 1:
        (inner,) = chain[-1].inner
        names = ", ".join(part.name for part in (*chain, inner))
        if scale(start(inner)) - scale(start(stretch)) > SAME or scale(end(stretch)) - scale(end(inner)) > SAME:
            break
        if text_width(names, SMALL) > NAMES:
            break
        chain.append(inner)
    return chain


def _scope(chain: list[Stretch], told: bool) -> Item:
    """Return scopes as one item, named by what is counted in them, or if told to."""
    names: tuple[str, ...] = ()
    tips = []
    for stretch in chain:
        at = first(stretch).left
        number = {"epoch": at.epoch, "iteration": at.iteration}.get(stretch.name)
        full = stretch.name if number is None else f"{stretch.name} {number}"
        if number is not None:
            names = (full, str(number))
        elif told:
            names = (full,)
        tips.append(f"{full}: {duration(end(stretch) - start(stretch))}")
    return Item(start(chain[0]), end(chain[0]), "scope", names, "\n".join(tips))


def _activities(visit: Visit) -> Iterator[Item]:
    """Yield the times of a visit in which no handler was called."""
    time = visit.entered.time
    name = visit.phase.rpartition(".")[2]
    for begin, finish in (*((span.start, span.end) for span in visit.spans), (visit.left.time, visit.left.time)):
        if begin > time:
            yield Item(time, begin, visit.spent_on, (name,), f"{name}: {duration(begin - time)}")
        time = finish


def _call(span: Span) -> Item:
    handler = span.handler
    raised = ", raised" if span.raised else ""
    tip = f"{handler.name} on {handler.event}: {duration(span.duration)}{raised}"
    return Item(span.start, span.end, "handler", (handler.name.rpartition(".")[2],), tip)
