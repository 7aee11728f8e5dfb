"""What a page tells of the phases of a lifecycle: everything in it is text, and made to be written as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fsm_engine.dispatch.entries import Attachment
from fsm_engine.engine.engine import engine_of
from fsm_engine.engine.explain import described, entries_of, entries_of_move
from fsm_engine.events.events import Event
from fsm_engine.graph.graph import Code, Graph, History, Phase, Transition, code_name
from fsm_engine.lifecycle.table import qualified
from fsm_engine.lifecycle.traversal import ways
from fsm_engine.render.diagram_builder import FINAL, INITIAL, edge_ends, scope_id

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine
    from fsm_engine.lifecycle.lifecycle import Lifecycle


@dataclass(frozen=True)
class HandlerDetails:
    """A handler.

    Attributes:
        name: as `Engine.explain` has it.
        on: what it is attached to, if that is not the phase itself.
        conditions: its filter and priority; may be empty.
        place: the file and line where it was defined.
    """

    name: str
    on: str
    conditions: str
    place: str


@dataclass(frozen=True)
class ExitDetails:
    """A move out of a phase.

    Attributes:
        label: of the transition.
        kind: automatic, fired, signal or error.
        signal: the name of the signal; empty for another trigger.
        target: the id of the phase it leads to; empty if that is history.
        history: the id of the scope whose history it leads to; empty if it leads to a phase.
        via: the id of the scope it leaves from; empty if it is the phase's own.
        guard, action: their names; empty if there is none.
        errors: the names of the exceptions it takes.
        limit: how often a run may take it; None is any number of times.
        handlers: those called on the move alone.
        edge: how it is drawn: source and target as ids in the picture, and the transition as text.
    """

    label: str
    kind: str
    signal: str
    target: str
    history: str
    via: str
    guard: str
    action: str
    errors: tuple[str, ...]
    limit: int | None
    handlers: tuple[HandlerDetails, ...]
    edge: tuple[str, str, str]


@dataclass(frozen=True)
class PhaseDetails:
    """A phase.

    Attributes:
        id: its qualified name.
        name: its bare name.
        nodes: the ids of what stands for it in the picture.
        scopes: the ids of the scopes it lies in, the outermost first.
        entry: the names of what is done on entry.
        activity, defer: the names of its activity and of the guard that makes signals wait; empty if there is none.
        counter: the attribute of the state that counts how often it was entered.
        rests: whether only the next run leaves it.
        fired: whether it is part of the activity of another phase.
        recovers: whether an error edge leads to it.
        handlers: in the order in which they are called.
        exits: the moves out of it, in the order in which they are looked at; those of its scopes are among them.
    """

    id: str
    name: str
    nodes: tuple[str, ...]
    scopes: tuple[str, ...]
    entry: tuple[str, ...]
    activity: str
    defer: str
    counter: str
    rests: bool
    fired: bool
    recovers: bool
    handlers: tuple[HandlerDetails, ...]
    exits: tuple[ExitDetails, ...]


@dataclass(frozen=True)
class Details:
    """What a page tells.

    Attributes:
        phases: in the order of the graph; a run starts and ends in the first.
        current: the id of the phase that the engine is in; empty if the lifecycle belongs to none.
    """

    phases: tuple[PhaseDetails, ...]
    current: str = ""


def details(lifecycle: Lifecycle) -> Details:
    """Return what is told of `lifecycle`; of an engine's own, with its handlers and the phase that it is in."""
    engine = engine_of(lifecycle)
    told = _Told(lifecycle.graph, engine)
    phases = tuple(told.phase(number) for number in range(len(lifecycle.phases)))
    return Details(phases, "" if engine is None else qualified(engine.phase))


class _Told:
    def __init__(self, graph: Graph, engine: Engine | None) -> None:
        self.graph, self.engine = graph, engine
        self.ways = ways(graph)

    def phase(self, number: int) -> PhaseDetails:
        phase = self.graph.phases[number]
        return PhaseDetails(
            id=qualified(phase),
            name=phase.name,
            nodes=(qualified(phase),) if number else (INITIAL, FINAL),
            scopes=tuple(map(scope_id, phase.scope.path)) if phase.scope is not None else (),
            entry=tuple(map(code_name, phase.entry)),
            activity=_name(phase.activity),
            defer=_name(phase.defer),
            counter=phase.counter or "",
            rests=number in self.graph.terminal,
            fired=number in self.graph.fired_phases,
            recovers=number in self.graph.recovering,
            handlers=self._handlers(phase) if number else (),
            exits=tuple(map(self._exit, self.ways[number])),
        )

    def _exit(self, transition: Transition) -> ExitDetails:
        target = transition.target
        written = transition if transition.via is None else replace(transition, source=transition.via, via=None)
        return ExitDetails(
            label=transition.label,
            kind="error" if transition.error else transition.trigger.value,
            signal=transition.signal.value if transition.signal is not None else "",
            target="" if isinstance(target, History) else qualified(self.graph.phases[self.graph.index[target]]),
            history=scope_id(target.scope) if isinstance(target, History) else "",
            via=scope_id(transition.via) if transition.via is not None else "",
            guard=_name(transition.guard),
            action=_name(transition.action),
            errors=tuple(kind.__name__ for kind in transition.error),
            limit=transition.limit,
            handlers=tuple(self._handlers_of_move(transition)),
            edge=(*edge_ends(self.graph, written), str(written)),
        )

    def _handlers(self, phase: Phase) -> tuple[HandlerDetails, ...]:
        entries = () if self.engine is None else entries_of(self.engine, phase.event)
        return tuple(_handlers(entries, phase.event))

    def _handlers_of_move(self, transition: Transition) -> Iterator[HandlerDetails]:
        if self.engine is not None:
            yield from _handlers(entries_of_move(self.engine, transition))


def _handlers(attached: Iterable[Attachment], phase: Event | None = None) -> Iterator[HandlerDetails]:
    for attachment in attached:
        name, conditions, place = described(attachment)
        on = "" if attachment.event is phase else str(attachment.event)
        yield HandlerDetails(name, on, conditions, _from_here(place))


def _from_here(place: str) -> str:
    """Return where a handler was defined, from the working directory if it lies in there."""
    path = Path(place)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else place


def _name(code: Code | None) -> str:
    return "" if code is None else code_name(code)
