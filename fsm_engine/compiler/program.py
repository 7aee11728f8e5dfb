"""What an engine runs at the moment: the function emitted for its graph and for what is observed in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsm_engine.compiler.cache import Emitted, function_for
from fsm_engine.compiler.codegen import View
from fsm_engine.dispatch.registry import Slot
from fsm_engine.dispatch.step_moves import Moves, moves_of, slots_of_move

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


def emitted(engine: Engine) -> Emitted:
    """Return the function that runs the lifecycle of `engine` with the handlers attached now, and bind its objects."""
    here, graph = engine._here, engine.lifecycle.graph
    settled = tuple([guard.as_guard(engine) for guard in graph.settled])
    tell = engine._teller()
    facts = (graph, settled, tell)
    if here.function is None or here.emitted_for != facts:
        slots = engine._slots
        observed = {n: slot for event, n in graph.index.items() if n and (slot := slots[event]).attached}
        view = View(observed, settled, tell is not None, engine._registry.has_callbacks, _passed(engine))
        here.function = function_for(graph, view)
        here.emitted_for = facts
        here.bound = view.bound(graph, engine._moves(), engine._around, tell)
    return here.function


def _passed(engine: Engine) -> dict[tuple[int, str], tuple[Slot, ...]]:
    graph, registry = engine.lifecycle.graph, engine._registry
    if not registry.has_moves:
        return {}
    return {
        (number, transition.label): slots
        for number, exits in enumerate(graph.automatic)
        for transition in exits
        if (slots := slots_of_move(registry, graph, transition))
    }


def moves(engine: Engine) -> dict[int, Moves]:
    """Return, by phase, the moves that an activity may make by firing, as they are with the handlers attached now."""
    graph = engine.lifecycle.graph
    if not graph.fired_phases:
        return {}
    if engine._tables is None:
        told = engine._debug or bool(engine._observers) or engine._driver is not None
        engine._tables = moves_of(graph, engine._registry, told)
    return engine._tables
