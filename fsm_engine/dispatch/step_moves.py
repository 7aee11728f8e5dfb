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
from fsm_engine.graph.graph import Code, Graph, History, Transition, do
from fsm_engine.graph.positions import after_handlers, before, entered, phase_at

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher


class Way(NamedTuple):
    """A move that is more than a new position: whose handlers it calls, whether anybody is told, where it enters."""

    transition: Transition
    passed: tuple[EventEntry, ...]
    told: bool
    at: int
    entry: tuple[Code, ...]
    slot: EventEntry


class Moves(dict[Event, tuple[int, "Moves"]]):
    """The phases that may be fired from one: for each that nobody observes, its position and its own moves.

    Attributes:
        loud: the others.
    """

    __slots__ = ("loud",)

    def __init__(self) -> None:
        self.loud: dict[Event, Way] = {}


def slots_of_move(registry: Registry, graph: Graph, transition: Transition) -> tuple[EventEntry, ...]:
    """Return the slots with handlers that the move along `transition` calls: exits from the inside out, then edges."""
    if not registry.has_moves or isinstance(transition.target, History):
        return ()
    source = graph.phases[graph.index[transition.source]].scope  # type: ignore[index]
    keys: list[Edge | Exit] = [Exit(left) for left in graph.left_by(transition)]
    keys.append(transition.edge)
    keys += [Edge(scope, transition.target) for scope in reversed(source.path if source else ())]
    return tuple([slot for key in keys if (slot := registry.slots.get(key)) is not None and slot.attached])


def leave(engine: EventDispatcher, transition: Transition, slots: tuple[EventEntry, ...]) -> None:
    """Call the handlers of a move, and tell observers of it. After an exception, those called before are left out."""
    passed = engine._failure.called
    for slot in slots:
        if slot not in passed:
            passed.append(slot)
            engine._call(slot, (), {"transition": transition})
    if passed:
        passed.clear()
    engine._tell(transition)


def move(engine: EventDispatcher, transition: Transition) -> None:
    """Move along `transition` from where the run is, up to the point where its target is entered."""
    if transition.action is not None:
        do(transition.action, engine)
    leave(engine, transition, slots_of_move(engine._registry, engine._graph, transition))


def past(engine: EventDispatcher) -> int | None:
    """Return the position that history leads back to: where an error edge or an interrupt left."""
    cursor, failure = engine._cursor, engine._failure
    recovers = cursor.suspended_at is None or phase_at(cursor.position) in engine._graph.recovering
    return failure.recovered_from if recovers else cursor.suspended_at


def settled(engine: EventDispatcher, transition: Transition) -> Transition | None:
    """Return `transition` with the phase that it leads to now; None if it leads into a history that there is not."""
    if not isinstance(transition.target, History):
        return transition
    at = past(engine)
    phase = None if at is None else engine._graph.phases[phase_at(at)]
    return replace(transition, target=phase.event) if phase and transition.target.contains(phase.scope) else None


def lost(engine: EventDispatcher, edge: Transition) -> IllegalTransition:
    """Return the error that says that `edge` leads into a history that there is not."""
    at = past(engine)
    left = "no error has led" if at is None else f"an error that left {engine._graph.phases[phase_at(at)]} has led"
    return IllegalTransition(
        f"{edge} goes back to where in that scope an error left, and {left} to {engine.phase}. "
        f"Lead there only by error edges from inside the scope."
    )


def return_to_history(engine: EventDispatcher, edge: Transition) -> int:
    """Move along an edge into history, and return the position that was left."""
    cursor, signals, failure = engine._cursor, engine._signals, engine._failure
    way = settled(engine, edge)
    if way is None:
        raise lost(engine, edge)
    at = past(engine)
    failed = cursor.suspended_at is None or phase_at(cursor.position) in engine._graph.recovering
    move(engine, way)
    if failed:
        failure.recovered_from, failure.edges_tried = None, frozenset()
    else:
        cursor.suspended_at = None
        signals.requests, signals.saved_requests = {**signals.saved_requests, **signals.requests}, {}
    assert at is not None
    return at


def moves_of(graph: Graph, registry: Registry, told: bool) -> dict[int, Moves]:
    """Return what may be fired from each phase that is part of an activity, for the handlers attached now.

    With `told`, somebody is told of every move.
    """
    numbers = {number for number, fired in enumerate(graph.fired) if fired} | graph.fired_phases
    tables = {number: Moves() for number in numbers}
    for number, table in tables.items():
        for event, transition in graph.fired[number].items():
            target = graph.index[event]
            entry, slot = graph.phases[target].entry, registry.slots[event]
            passed = slots_of_move(registry, graph, transition)
            if told or entry or slot.attached or passed or transition.action is not None:
                table.loud[event] = Way(transition, passed, told or bool(passed), before(target), entry, slot)
            else:
                table[event] = after_handlers(target), tables[target]
    return tables


def fire_while_moving(engine: EventDispatcher, event: Event, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Fire `event` from an activity that may move: enter its phase, or call the handlers of a callback event.

    Raises:
        IllegalTransition: if it is a phase to which no edge leads from here.
    """
    cursor = engine._cursor
    way = cursor.moves.loud.get(event)  # type: ignore[union-attr]
    slot = engine._registry.slot(event) if way is None else way.slot
    if way is None and slot.moves:
        raise illegal(engine, event)
    cursor.moves = None  # handlers do not move
    try:
        if way is not None:
            _enter(engine, way)
        engine._call(slot, args, kwargs)
    finally:
        cursor.position = entered(cursor.position)
        cursor.moves = engine._moves()[phase_at(cursor.position)]


def _enter(engine: EventDispatcher, way: Way) -> None:
    cursor = engine._cursor
    if way.transition.action is not None:
        do(way.transition.action, engine)
    if way.told:
        leave(engine, way.transition, way.passed)
    cursor.position, cursor.callback_event = way.at, None
    for action in way.entry:
        do(action, engine)


def illegal(engine: EventDispatcher, event: Event) -> IllegalTransition:
    """Return the error that says that no edge leads to the phase of `event`, and what was legal."""
    cursor, graph = engine._cursor, engine._graph
    if cursor.moves is None:
        return IllegalTransition(
            f"{event} was fired in {engine.phase} by something other than the activity that may move there, such as a "
            f"handler. Fire it from the step, or register a callback event of another name for handlers."
        )
    legal = ", ".join(map(str, graph.fired[phase_at(cursor.position)])) or "no phase; the step had to return"
    return IllegalTransition(
        f"no edge leads from {engine.phase} to {event}. Legal there: {legal}. "
        f"Add it with lifecycle.add_path({graph.phases[phase_at(cursor.position)].event} >> {event})."
    )


def stuck(engine: EventDispatcher) -> IllegalTransition:
    """Return the error that says that an activity ended in a phase from which the engine cannot go on."""
    graph = engine._graph
    legal = ", ".join(map(str, graph.fired[phase_at(engine._cursor.position)])) or "nothing"
    return IllegalTransition(
        f"the step returned in {engine.phase}, from where only firing leads on: {legal}. Fire the rest of the path, "
        f"or add an edge out, lifecycle.add_transition({engine.phase.event} >> ...)."
    )
