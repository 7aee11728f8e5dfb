"""What an engine runs at the moment: the function emitted for its graph and for what is observed in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fsm_engine._util.compiled_functions import CompiledFunction
from fsm_engine.compiler.cache import function_for
from fsm_engine.compiler.codegen import Specialization
from fsm_engine.dispatch.entries import EventEntry
from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.dispatch.step_moves import FirableMoves, entries_of_move, firable_moves


@dataclass(frozen=True)
class Program:
    """A compiled lifecycle: the function, the objects that it refers to, and what it was compiled for.

    A program never changes. When handlers, observers or the graph change, the engine makes another one.
    """

    compiled: CompiledFunction
    bound: list[Any]
    facts: tuple[Any, ...]


def program_for(engine: EventDispatcher, current: Program | None) -> Program:
    """Return the program for the lifecycle of `engine` and its handlers; `current` if it is up to date."""
    graph = engine._graph
    static_values = tuple([guard.as_guard(engine) for guard in graph.static_guards])
    notify = engine._notifier()
    facts = (graph, static_values, notify)
    if current is not None and current.facts == facts:
        return current
    entries = {n: entry for event, n in graph.index.items() if n and (entry := engine._entries[event]).handlers}
    has_callbacks = engine._registry.has_callback_events
    shape = Specialization(entries, static_values, notify is not None, has_callbacks, _move_entries(engine))
    bound = shape.bound_objects(graph, engine._current_moves(), engine._wrappers, notify)
    return Program(function_for(graph, shape), bound, facts)


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


def firable_moves_of(engine: EventDispatcher, observed: bool) -> dict[int, FirableMoves]:
    """Return, by phase, the moves that an activity may make by firing, with the handlers that are attached now."""
    return firable_moves(engine._graph, engine._registry, observed) if engine._graph.fired_phases else {}
