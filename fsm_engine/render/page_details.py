"""Details of a lifecycle for its page: strings and numbers only, to be written as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fsm_engine.dispatch.entries import HandlerEntry
from fsm_engine.engine.engine import Engine, engine_of
from fsm_engine.engine.explain import describe_handler, entries_of, handlers_of_move
from fsm_engine.events.events import Event
from fsm_engine.graph.code import Code, code_name
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.transitions import History, Transition
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.lifecycle.traversal import possible_moves
from fsm_engine.render.diagram_builder import FINAL, INITIAL, edge_ends, scope_id
from fsm_engine.render.main_path import main_path


@dataclass(frozen=True)
class HandlerDetails:
    """A handler.

    Attributes:
        name: name of the handler, as in `Engine.explain`.
        on: the event that it is attached to; empty if that is the phase itself.
        conditions: its filter and priority; may be empty.
        place: file and line of its definition.
    """

    name: str
    on: str
    conditions: str
    place: str


@dataclass(frozen=True)
class ExitDetails:
    """An exit of a phase, or of a scope around it.

    Attributes:
        label: label of the transition.
        kind: automatic, fired, signal or error.
        signal: name of the signal; empty for another trigger.
        target: id of the target phase; empty for history.
        history: id of the scope whose history is the target; empty for a phase.
        via: id of the scope that the transition leaves; empty for an exit of the phase itself.
        guard, action: their names; empty without one.
        errors: names of the exceptions that take the transition.
        limit: how often a run may take the transition; None for any number of times.
        handlers: handlers on this transition and on leaving its source, in the order in which they are called.
        edge: ids of source and target in the picture, and the transition as text.
        main: True on the main path.
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
    main: bool = False


@dataclass(frozen=True)
class PhaseDetails:
    """A phase.

    Attributes:
        id: qualified name.
        name: name without the class of the event.
        nodes: ids of the nodes of the phase in the picture: two for the first phase, one for any other.
        scopes: ids of the scopes around the phase, the outermost first.
        entry: names of the entry actions.
        activity, defer: names of the activity and of the guard that defers signals; empty without one.
        counter: attribute of the state that counts the visits of the phase; empty without one.
        terminal: True if only the next run leaves the phase.
        fired: True if the phase is part of the activity of another phase.
        recovers: True if an error edge leads to the phase.
        handlers: in the order in which they are called.
        exits: exits of the phase and of the scopes around it, in the order in which their guards are evaluated.
    """

    id: str
    name: str
    nodes: tuple[str, ...]
    scopes: tuple[str, ...]
    entry: tuple[str, ...]
    activity: str
    defer: str
    counter: str
    terminal: bool
    fired: bool
    recovers: bool
    handlers: tuple[HandlerDetails, ...]
    exits: tuple[ExitDetails, ...]


@dataclass(frozen=True)
class Details:
    """Details of a lifecycle.

    Attributes:
        phases: in the order of the graph; runs start and end in the first.
        current: id of the phase that the engine is in; empty if the lifecycle belongs to no engine.
        name: name of the lifecycle.
    """

    phases: tuple[PhaseDetails, ...]
    current: str = ""
    name: str = ""


def page_details(lifecycle: Lifecycle) -> Details:
    """Return the details of `lifecycle`, with handlers and the current phase if it belongs to an engine."""
    engine = engine_of(lifecycle)
    builder = _DetailsBuilder(lifecycle.graph, engine)
    phases = tuple(builder.phase(number) for number in range(len(lifecycle.phases)))
    return Details(phases, "" if engine is None else qualified_name(engine.phase), lifecycle.name)


class _DetailsBuilder:
    def __init__(self, graph: Graph, engine: Engine | None) -> None:
        self.graph, self.engine = graph, engine
        self.main = set(map(id, main_path(graph)))
        self.possible_moves = possible_moves(graph)

    def phase(self, number: int) -> PhaseDetails:
        phase = self.graph.phases[number]
        return PhaseDetails(
            id=qualified_name(phase),
            name=phase.name,
            nodes=(qualified_name(phase),) if number else (INITIAL, FINAL),
            scopes=tuple(map(scope_id, phase.scope.path)) if phase.scope is not None else (),
            entry=tuple(map(code_name, phase.entry)),
            activity=_name(phase.activity),
            defer=_name(phase.defer),
            counter=phase.counter or "",
            terminal=number in self.graph.terminal,
            fired=number in self.graph.fired_phases,
            recovers=number in self.graph.recovery_phases,
            handlers=self._handlers(phase) if number else (),
            exits=tuple(map(self._exit, self.possible_moves[number])),
        )

    def _exit(self, transition: Transition) -> ExitDetails:
        target = transition.target
        drawn = transition if transition.via is None else replace(transition, source=transition.via, via=None)
        return ExitDetails(
            label=transition.label,
            kind="error" if transition.error else transition.trigger.value,
            signal=transition.signal.value if transition.signal is not None else "",
            target="" if isinstance(target, History) else qualified_name(self.graph.phases[self.graph.index[target]]),
            history=scope_id(target.scope) if isinstance(target, History) else "",
            via=scope_id(transition.via) if transition.via is not None else "",
            guard=_name(transition.guard),
            action=_name(transition.action),
            errors=tuple(kind.__name__ for kind in transition.error),
            limit=transition.limit,
            handlers=tuple(self._handlers_of_move(transition)),
            edge=(*edge_ends(self.graph, drawn), str(drawn)),
            main=id(transition) in self.main,
        )

    def _handlers(self, phase: Phase) -> tuple[HandlerDetails, ...]:
        entries = () if self.engine is None else entries_of(self.engine, phase.event)
        return tuple(_handlers(entries, phase.event))

    def _handlers_of_move(self, transition: Transition) -> Iterator[HandlerDetails]:
        if self.engine is not None:
            yield from _handlers(handlers_of_move(self.engine, transition))


def _handlers(attached: Iterable[HandlerEntry], phase: Event | None = None) -> Iterator[HandlerDetails]:
    for attachment in attached:
        name, conditions, place = describe_handler(attachment)
        on = "" if attachment.event is phase else str(attachment.event)
        yield HandlerDetails(name, on, conditions, _relative(place))


def _relative(place: str) -> str:
    """Return `place` relative to the working directory, if it is inside."""
    path = Path(place)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else place


def _name(code: Code | None) -> str:
    return "" if code is None else code_name(code)
