"""The counters of a lifecycle: iterations and epochs if it has them, and the counters of the user's phases."""

from __future__ import annotations

from fsm_engine.engine.engine import Engine
from fsm_engine.graph.code import code_name
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.transitions import Transition

_INCREMENT = " += 1"


def counter_names(graph: Graph) -> tuple[str, ...]:
    """Return the attributes of the state that count entries of phases, the finest first."""
    counted = {code_name(action).removesuffix(_INCREMENT) for phase in graph.phases for action in phase.entry}
    built_in = [name for name in ("iteration", "epoch") if name in counted]
    return tuple(dict.fromkeys([*built_in, *graph.counters.values()]))


def counter_after(engine: Engine, transition: Transition, counter: str) -> int:
    """Return the value of a counter after the entry actions of the target, which run after a move is observed."""
    graph = engine.lifecycle.graph
    entry = graph.phases[graph.index[transition.target]].entry  # type: ignore[index]
    value = getattr(engine.state, counter, None)
    return (
        value + any(code_name(action) == f"{counter}{_INCREMENT}" for action in entry) if isinstance(value, int) else 0
    )


def place_text(engine: Engine, transition: Transition) -> str:
    """Return a move and the counters after it, such as ``A --next--> B, epoch 1, iteration 5``."""
    names = counter_names(engine.lifecycle.graph)
    ordered = [name for name in dict.fromkeys(("epoch", "iteration", *names)) if name in names]
    return ", ".join([str(transition), *(f"{name} {counter_after(engine, transition, name)}" for name in ordered)])
