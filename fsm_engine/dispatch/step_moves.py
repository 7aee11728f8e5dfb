"""A move as handlers see it: what they are told on leaving a phase, and how a step moves by firing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from fsm_engine._util.errors import IllegalTransition
from fsm_engine.dispatch.entries import EventEntry
from fsm_engine.dispatch.registry import Registry
from fsm_engine.events.edges import Edge, Exit
from fsm_engine.events.events import Event
from fsm_engine.graph.code import Code, execute
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.positions import after_handlers, before, entered, phase_at
from fsm_engine.graph.transitions import History, Transition

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher


class ObservedMove(NamedTuple):
    """A move that is more than a new position: whose handlers it calls, whether anybody is told, where it enters."""

    transition: Transition
    entries: tuple[EventEntry, ...]
    is_observed: bool
    position: int
    entry: tuple[Code, ...]
    target_entry: EventEntry


class FirableMoves(dict[Event, tuple[int, "FirableMoves"]]):
    """The phases that may be fired from one: for each that nobody observes, its position and its own moves.

    Attributes:
        loud: the others.
    """

    __slots__ = ("observed",)

    def __init__(self) -> None:
        self.observed: dict[Event, ObservedMove] = {}


def entries_of_move(registry: Registry, graph: Graph, transition: Transition) -> tuple[EventEntry, ...]:
    """Return the slots with handlers that the move along `transition` calls: exits from the inside out, then edges."""
    if not registry.has_move_handlers or isinstance(transition.target, History):
        return ()
    source = graph.phases[graph.index[transition.source]].scope  # type: ignore[index]
    keys: list[Edge | Exit] = [Exit(left) for left in graph.exited_by(transition)]
    keys.append(transition.edge)
    keys += [Edge(scope, transition.target) for scope in reversed(source.path if source else ())]
    return tuple([entry for key in keys if (entry := registry.entries.get(key)) is not None and entry.handlers])


def announce_move(engine: EventDispatcher, transition: Transition, entries: tuple[EventEntry, ...]) -> None:
    """Call the handlers of a move, and tell observers of it. After an exception, those called before are left out."""
    passed = engine._failure.called
    for entry in entries:
        if entry not in passed:
            passed.append(entry)
            engine._call_handlers(entry, (), {"transition": transition})
    if passed:
        passed.clear()
    engine._notify_observers(transition)


def move(engine: EventDispatcher, transition: Transition) -> None:
    """Move along `transition` from where the run is, up to the point where its target is entered."""
    if transition.action is not None:
        execute(transition.action, engine)
    announce_move(engine, transition, entries_of_move(engine._registry, engine._graph, transition))


def history_position(engine: EventDispatcher) -> int | None:
    """Return the position that history leads back to: where an error edge or an interrupt left."""
    cursor, failure = engine._cursor, engine._failure
    recovers = cursor.suspended_at is None or phase_at(cursor.position) in engine._graph.recovery_phases
    return failure.recovered_from if recovers else cursor.suspended_at


def resolve_history(engine: EventDispatcher, transition: Transition) -> Transition | None:
    """Return `transition` with the phase that it leads to now; None if it leads into a history that there is not."""
    if not isinstance(transition.target, History):
        return transition
    at = history_position(engine)
    phase = None if at is None else engine._graph.phases[phase_at(at)]
    return replace(transition, target=phase.event) if phase and transition.target.contains(phase.scope) else None


def no_history_error(engine: EventDispatcher, edge: Transition) -> IllegalTransition:
    """Return the error that says that `edge` leads into a history that there is not."""
    at = history_position(engine)
    left = "no error has led" if at is None else f"an error that left {engine._graph.phases[phase_at(at)]} has led"
    return IllegalTransition(
        f"{edge} goes back to where in that scope an error left, and {left} to {engine.phase}. "
        f"Lead there only by error edges from inside the scope."
    )


def return_to_history(engine: EventDispatcher, edge: Transition) -> int:
    """Move along an edge into history, and return the position that was left."""
    cursor, signals, failure = engine._cursor, engine._signals, engine._failure
    way = resolve_history(engine, edge)
    if way is None:
        raise no_history_error(engine, edge)
    at = history_position(engine)
    failed = cursor.suspended_at is None or phase_at(cursor.position) in engine._graph.recovery_phases
    move(engine, way)
    if failed:
        failure.recovered_from, failure.edges_tried = None, frozenset()
    else:
        cursor.suspended_at = None
        signals.requests, signals.saved_requests = {**signals.saved_requests, **signals.requests}, {}
    assert at is not None
    return at


def firable_moves(graph: Graph, registry: Registry, is_observed: bool) -> dict[int, FirableMoves]:
    """Return the phases that may be fired from each phase that is part of an activity, with the handlers attached now.

    If `is_observed`, every move is observed.
    """
    numbers = {number for number, fired in enumerate(graph.fired_exits) if fired} | graph.fired_phases
    tables = {number: FirableMoves() for number in numbers}
    for number, table in tables.items():
        for event, transition in graph.fired_exits[number].items():
            target = graph.index[event]
            move = _observed_move(graph, registry, transition, is_observed)
            if move is None:
                table[event] = after_handlers(target), tables[target]
            else:
                table.observed[event] = move
    return tables


def _observed_move(graph: Graph, registry: Registry, transition: Transition, is_observed: bool) -> ObservedMove | None:
    target = graph.index[transition.target]  # type: ignore[index]  # fired phases are no history
    actions, entry = graph.phases[target].entry, registry.entries[graph.phases[target].event]
    entries = entries_of_move(registry, graph, transition)
    if not (is_observed or actions or entry.handlers or entries or transition.action is not None):
        return None
    return ObservedMove(transition, entries, is_observed or bool(entries), before(target), actions, entry)


def fire_from_activity(engine: EventDispatcher, event: Event, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Fire `event` from an activity that may move: enter its phase, or call the handlers of a callback event.

    Raises:
        IllegalTransition: if it is a phase to which no edge leads from here.
    """
    cursor = engine._cursor
    way = cursor.moves.observed.get(event)  # type: ignore[union-attr]
    entry = engine._registry.entry(event) if way is None else way.target_entry
    if way is None and entry.is_fired_phase:
        raise illegal_move_error(engine, event)
    cursor.moves = None  # handlers do not move
    try:
        if way is not None:
            _enter(engine, way)
        engine._call_handlers(entry, args, kwargs)
    finally:
        cursor.position = entered(cursor.position)
        cursor.moves = engine._current_moves()[phase_at(cursor.position)]


def _enter(engine: EventDispatcher, way: ObservedMove) -> None:
    cursor = engine._cursor
    if way.transition.action is not None:
        execute(way.transition.action, engine)
    if way.is_observed:
        announce_move(engine, way.transition, way.entries)
    cursor.position, cursor.callback_event = way.position, None
    for action in way.entry:
        execute(action, engine)


def illegal_move_error(engine: EventDispatcher, event: Event) -> IllegalTransition:
    """Return the error that says that no edge leads to the phase of `event`, and what was legal."""
    cursor, graph = engine._cursor, engine._graph
    if cursor.moves is None:
        return IllegalTransition(
            f"{event} was fired in {engine.phase} by something other than the activity that may move there, such as a "
            f"handler. Fire it from the step, or register a callback event of another name for handlers."
        )
    legal = ", ".join(map(str, graph.fired_exits[phase_at(cursor.position)])) or "no phase; the step had to return"
    return IllegalTransition(
        f"no edge leads from {engine.phase} to {event}. Legal there: {legal}. "
        f"Add it with lifecycle.add_path({graph.phases[phase_at(cursor.position)].event} >> {event})."
    )


def stuck_error(engine: EventDispatcher) -> IllegalTransition:
    """Return the error that says that an activity ended in a phase from which the engine cannot go on."""
    graph = engine._graph
    legal = ", ".join(map(str, graph.fired_exits[phase_at(engine._cursor.position)])) or "nothing"
    return IllegalTransition(
        f"the step returned in {engine.phase}, from where only firing leads on: {legal}. Fire the rest of the path, "
        f"or add an edge out, lifecycle.add_transition({engine.phase.event} >> ...)."
    )
