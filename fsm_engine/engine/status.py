"""The status of an engine in words, for consoles and notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsm_engine.graph.positions import IDLE_POSITION

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


def status_of(engine: Engine) -> str:
    """Return ``idle``, ``running`` or ``suspended``, or how the last run ended, such as ``completed``."""
    if engine.is_running:
        return "running"
    if engine.position != IDLE_POSITION:
        return "suspended"
    return "idle" if engine.outcome is None else str(engine.outcome)


def progress_of(engine: Engine) -> list[str]:
    """Return the counters of the run with their limits, such as ``epoch 2 of 5`` and ``iteration 30``."""
    state, counters = engine.state, list(dict.fromkeys(engine._graph.counters.values()))
    limits = {"epoch": state.max_epochs, "iteration": state.max_iters}
    names = [*(name for name in limits if engine._graph.has_epochs and name not in counters), *counters]
    return [_with_limit(name, getattr(state, name, None), limits.get(name)) for name in names]


def _with_limit(name: str, value: Any, limit: int | None) -> str:
    return f"{name} {value}" if limit is None else f"{name} {value} of {limit}"


def describe(engine: Engine) -> str:
    """Return the `repr` of an engine: its lifecycle, its status, its phase and its progress."""
    try:
        status = status_of(engine)
        parts = [f"{status} in {engine.phase}" if engine.is_running else status]
        if status != "idle" or engine.state.iteration:
            parts += progress_of(engine)
        return f"<{type(engine).__name__} {engine.name or engine.lifecycle.name}: {', '.join(parts)}>"
    except Exception:  # of a subclass whose constructor is not done
        return object.__repr__(engine)
