"""Moves between phases: their handlers, their targets in history, and the moves that a step makes by firing events."""

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
    """A move by firing that has an effect besides the new position.

    Attributes:
        transition: the transition to take.
        entries: the event entries of the exits and edges whose handlers the move calls.
        is_observed: True if these handlers, or observers, are to be called.
        position: the position before the target.
        entry_actions: the entry actions of the target.
        target_entry: the event entry of the target.
    """

    transition: Transition
    entries: tuple[EventEntry, ...]
    is_observed: bool
    position: int
    entry_actions: tuple[Code, ...]
    target_entry: EventEntry


class FirableMoves(dict[Event, tuple[int, "FirableMoves"]]):
    """The phases that the step may enter from one phase by firing their events.

    The items are the moves without any other effect: by event, the new position and the firable moves from there.

    Attributes:
        observed: the other moves, by event.
    """

    __slots__ = ("observed",)

    def __init__(self) -> None:
        self.observed: dict[Event, ObservedMove] = {}


def entries_of_move(registry: Registry, graph: Graph, transition: Transition) -> tuple[EventEntry, ...]:
    """Return the event entries whose handlers a move along `transition` calls, in the order of the calls.

    The exits come first, from the innermost outwards, then the edges. A transition to a history has none; resolve it
    first.
    """
    if not registry.has_move_handlers or isinstance(transition.target, History):
        return ()
    source = graph.phases[graph.index[transition.source]].scope  # type: ignore[index]
    keys: list[Edge | Exit] = [Exit(end) for end in graph.exited_by(transition)]
    keys.append(transition.edge)
    keys += [Edge(scope, transition.target) for scope in reversed(source.path if source else ())]
    return tuple([entry for key in keys if (entry := registry.entries.get(key)) is not None and entry.attached])


def announce_move(engine: EventDispatcher, transition: Transition, entries: tuple[EventEntry, ...]) -> None:
    """Call the handlers of `entries` and the observers with `transition`.

    If a handler raises, the next move skips the entries that were called before, because their phase or scope is
    already exited.
    """
    called = engine._failure.called
    for entry in entries:
        if entry not in called:
            called.append(entry)
            engine._call_handlers(entry, (), {"transition": transition})
    if called:
        called.clear()
    engine._notify_observers(transition)


def move(engine: EventDispatcher, transition: Transition) -> None:
    """Take `transition`: run its action and call its handlers and the observers. The target is not entered."""
    if transition.action is not None:
        execute(transition.action, engine)
    announce_move(engine, transition, entries_of_move(engine._registry, engine._graph, transition))


def _is_recovering(engine: EventDispatcher) -> bool:
    cursor = engine._cursor
    return cursor.suspended_at is None or phase_at(cursor.position) in engine._graph.recovery_phases


def history_position(engine: EventDispatcher) -> int | None:
    """Return the position to which a history leads back: the one that the last error edge or interrupt left, if any."""
    return engine._failure.recovered_from if _is_recovering(engine) else engine._cursor.suspended_at


def resolve_history(engine: EventDispatcher, transition: Transition) -> Transition | None:
    """Return `transition` with a phase in place of a history; None if the history has no such phase now."""
    if not isinstance(transition.target, History):
        return transition
    position = history_position(engine)
    phase = None if position is None else engine._graph.phases[phase_at(position)]
    return replace(transition, target=phase.event) if phase and transition.target.contains(phase.scope) else None


def no_history_error(engine: EventDispatcher, transition: Transition) -> IllegalTransition:
    """Return the error for a `transition` to a history that has no phase to return to."""
    position = history_position(engine)
    cause = (
        f"no error edge led to {engine.phase}"
        if position is None
        else f"the error edge to {engine.phase} came from {engine._graph.phases[phase_at(position)]}, outside the scope"
    )
    return IllegalTransition(
        f"{transition} returns to the phase of the scope that an error left, but {cause}. "
        f"Enter {engine.phase} only by error edges from inside the scope."
    )


def return_to_history(engine: EventDispatcher, transition: Transition) -> int:
    """Take `transition` to a history, and return the position to resume from.

    Raises:
        IllegalTransition: the history has no phase to return to.
    """
    cursor, signals, failure = engine._cursor, engine._signals, engine._failure
    resolved = resolve_history(engine, transition)
    position, is_recovering = history_position(engine), _is_recovering(engine)
    if resolved is None or position is None:
        raise no_history_error(engine, transition)
    move(engine, resolved)
    if is_recovering:
        failure.recovered_from, failure.edges_tried = None, frozenset()
    else:
        cursor.suspended_at = None
        signals.requests, signals.saved_requests = {**signals.saved_requests, **signals.requests}, {}
    return position


def firable_moves(graph: Graph, registry: Registry, is_observed: bool) -> dict[int, FirableMoves]:
    """Return the firable moves by phase number, for the handlers that are attached now.

    Only phases with fired exits and fired phases have an item. If `is_observed`, every move is an `ObservedMove`.
    """
    numbers = {number for number, fired in enumerate(graph.fired_exits) if fired} | graph.fired_phases
    tables = {number: FirableMoves() for number in numbers}
    for number, table in tables.items():
        for event, transition in graph.fired_exits[number].items():
            target = graph.index[event]
            observed = _observed_move(graph, registry, transition, is_observed)
            if observed is None:
                table[event] = after_handlers(target), tables[target]
            else:
                table.observed[event] = observed
    return tables


def _observed_move(graph: Graph, registry: Registry, transition: Transition, is_observed: bool) -> ObservedMove | None:
    target = graph.index[transition.target]  # type: ignore[index]  # a fired exit never leads to a history
    phase = graph.phases[target]
    target_entry, entries = registry.entries[phase.event], entries_of_move(registry, graph, transition)
    if not (is_observed or phase.entry or target_entry.attached or entries or transition.action is not None):
        return None
    return ObservedMove(transition, entries, is_observed or bool(entries), before(target), phase.entry, target_entry)


def fire_from_activity(engine: EventDispatcher, event: Event, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Fire `event` from an activity that may move: enter its phase, or call the handlers of a callback event.

    Raises:
        IllegalTransition: `event` is a fired phase to which no edge leads from the current phase.
    """
    cursor = engine._cursor
    observed = cursor.moves.observed.get(event)  # type: ignore[union-attr]
    entry = engine._registry.entry(event) if observed is None else observed.target_entry
    if observed is None and entry.is_fired_phase:
        raise illegal_move_error(engine, event)
    cursor.moves = None  # handlers must not move
    try:
        if observed is not None:
            _enter(engine, observed)
        engine._call_handlers(entry, args, kwargs)
    finally:
        cursor.position = entered(cursor.position)
        cursor.moves = engine._current_moves()[phase_at(cursor.position)]


def _enter(engine: EventDispatcher, observed: ObservedMove) -> None:
    cursor = engine._cursor
    if observed.transition.action is not None:
        execute(observed.transition.action, engine)
    if observed.is_observed:
        announce_move(engine, observed.transition, observed.entries)
    cursor.position, cursor.callback_event = observed.position, None
    for action in observed.entry_actions:
        execute(action, engine)


def illegal_move_error(engine: EventDispatcher, event: Event) -> IllegalTransition:
    """Return the error for an `event` whose phase cannot be entered by firing now."""
    if engine._cursor.moves is None:
        return IllegalTransition(
            f"{event} was fired in {engine.phase} by a handler or another function that must not move the run. Fire it "
            f"from the step, or register a callback event of another name for handlers."
        )
    return IllegalTransition(
        f"no edge leads from {engine.phase} to {event}. Legal events: {_legal_events(engine)}. "
        f"Add the edge with lifecycle.add_path({engine.phase.event} >> {event})."
    )


def stuck_error(engine: EventDispatcher) -> IllegalTransition:
    """Return the error for a step that returned in a phase that only firing leaves."""
    return IllegalTransition(
        f"the step returned in {engine.phase}, which only firing leaves. Legal events: {_legal_events(engine)}. "
        f"Fire the rest of the path, or add an edge with lifecycle.add_transition({engine.phase.event} >> ...)."
    )


def _legal_events(engine: EventDispatcher) -> str:
    return ", ".join(map(str, engine._graph.fired_exits[phase_at(engine._cursor.position)])) or "none"
