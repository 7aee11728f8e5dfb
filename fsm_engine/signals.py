"""How a pending signal moves a run: which one goes first, where it leads, what waits and what is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsm_engine.cursor import Outcome, Signal
from fsm_engine.graph import Code, Snippet

if TYPE_CHECKING:
    from fsm_engine.engine import Engine

_PENDING = (Signal.TERMINATE, Signal.TERMINATE_EPOCH, Signal.INTERRUPT)


def honour(engine: Engine, at: int) -> int:
    """Take the edge of the first pending signal that has one from position `at`, and return where that leads.

    Signals are honoured between the handlers of a phase and its activity. A phase whose handlers are still to
    come is left to the emitted function; one that nobody observes is entered here. Signals without an edge
    from the phase are dropped; those that were beaten, or that the phase defers, stay pending.
    """
    here, graph = engine._here, engine.lifecycle.graph
    phase = graph.phases[at >> 1]
    if not at & 1:
        if engine._registry.slots[phase.event].attached:
            return at
        for action in phase.entry:
            _run(action, engine)
        at += 1
    if phase.defer is not None and _holds(phase.defer, engine):
        return at
    edges = graph.signalled[at >> 1]
    for signal in _PENDING:
        if signal not in here.requests:
            continue
        skip = here.requests.pop(signal)
        if signal in edges:
            _note(engine, signal, skip, at)
            engine._tell(edges[signal])
            return 2 * graph.index[edges[signal].target]  # type: ignore[index]
    return at


def _note(engine: Engine, signal: Signal, skip: bool, at: int) -> None:
    here = engine._here
    engine.logger.info("%s is honoured in %s.", signal.value, engine.lifecycle.phases[at >> 1])
    if signal is Signal.TERMINATE:
        here.skip_completed, here.outcome = skip, Outcome.TERMINATED
    elif signal is Signal.TERMINATE_EPOCH:
        here.skip_epoch_completed = skip
    else:
        here.left = at


def _run(action: Code, engine: Engine) -> None:
    (action.as_action if isinstance(action, Snippet) else action)(engine)


def _holds(guard: Code, engine: Engine) -> bool:
    return bool((guard.as_guard if isinstance(guard, Snippet) else guard)(engine))
