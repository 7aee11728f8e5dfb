"""`Program`: the generated function of an engine, compiled for its graph, handlers and observers."""

from __future__ import annotations

from typing import Any, NamedTuple

from fsm_engine._util.compiled_functions import CompiledFunction
from fsm_engine.compiler.cache import function_for
from fsm_engine.compiler.codegen import Specialization
from fsm_engine.dispatch.entries import EventEntry
from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.dispatch.step_moves import entries_of_move


class Program(NamedTuple):
    """A compiled lifecycle. It never changes; an engine gets another one when its handlers, observers or graph change.

    Attributes:
        compiled: the function and its source.
        bound: the objects that the function refers to.
        key: the graph, the values of the static guards, the notifier and the version for which it was compiled.
    """

    compiled: CompiledFunction
    bound: list[Any]
    key: tuple[Any, ...]


def program_for(engine: EventDispatcher, current: Program | None) -> Program:
    """Return the program for the graph, handlers and observers of `engine`; `current` if it is up to date.

    The key does not contain the handlers. `Registry.version` is another object after each change, and it is read
    before the handlers, so a change by another thread is compiled now or at the next call.
    """
    graph, version = engine._graph, engine._registry.version
    static_values = tuple([guard.as_guard(engine) for guard in graph.static_guards])
    notify = engine._notifier()
    key = (graph, static_values, notify, version)
    if current is not None and current.key == key:
        return current
    has_callback_events = engine._registry.has_callback_events
    specialization = Specialization(
        _phase_entries(engine), static_values, notify is not None, has_callback_events, _move_entries(engine)
    )
    bound = specialization.bound_objects(graph, engine._current_moves(), engine._wrappers, notify)
    return Program(function_for(graph, specialization), bound, key)


def _phase_entries(engine: EventDispatcher) -> dict[int, EventEntry]:
    """Return the entries of the phases that have handlers, by number and in the order of the phases."""
    numbers = engine._graph.index
    entries = list(engine._entries.values())  # an atomic copy
    attached = {numbers.get(entry.event, 0): entry for entry in entries if entry.attached}  # type: ignore[arg-type]
    return {number: attached[number] for number in sorted(attached) if number}


def _move_entries(engine: EventDispatcher) -> dict[tuple[int, str], tuple[EventEntry, ...]]:
    graph, registry = engine._graph, engine._registry
    if not registry.has_move_handlers:
        return {}
    return {
        (number, transition.label): entries
        for number, exits in enumerate(graph.automatic_exits)
        for transition in exits
        if (entries := entries_of_move(registry, graph, transition))
    }
