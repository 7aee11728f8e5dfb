"""What an engine runs at the moment: the function emitted for its graph and for what is observed in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fsm_engine._util.compiled_functions import CompiledFunction
from fsm_engine.compiler.cache import function_for
from fsm_engine.compiler.codegen import View
from fsm_engine.dispatch.entries import EventEntry
from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.dispatch.step_moves import Moves, moves_of, slots_of_move


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
    settled = tuple([guard.as_guard(engine) for guard in graph.settled])
    tell = engine._teller()
    facts = (graph, settled, tell)
    if current is not None and current.facts == facts:
        return current
    slots = engine._slots
    observed = {n: slot for event, n in graph.index.items() if n and (slot := slots[event]).attached}
    view = View(observed, settled, tell is not None, engine._registry.has_callbacks, _passed(engine))
    return Program(function_for(graph, view), view.bound(graph, engine._moves(), engine._around, tell), facts)


def _passed(engine: EventDispatcher) -> dict[tuple[int, str], tuple[EventEntry, ...]]:
    graph, registry = engine._graph, engine._registry
    if not registry.has_moves:
        return {}
    return {
        (number, transition.label): slots
        for number, exits in enumerate(graph.automatic)
        for transition in exits
        if (slots := slots_of_move(registry, graph, transition))
    }


def moves(engine: EventDispatcher, observed: bool) -> dict[int, Moves]:
    """Return, by phase, the moves that an activity may make by firing, with the handlers that are attached now."""
    return moves_of(engine._graph, engine._registry, observed) if engine._graph.fired_phases else {}
