"""How a pending signal moves a run: which one goes first, where it leads, what waits and what is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsm_engine.dispatch.step_moves import move
from fsm_engine.graph.code import evaluate, execute
from fsm_engine.graph.positions import IDLE_POSITION, before, is_entered, phase_at
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import Transition
from fsm_engine.runtime.cursor import Outcome

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher

_PENDING = (Signal.TERMINATE, Signal.TERMINATE_EPOCH, Signal.INTERRUPT)


def enter_unobserved(engine: EventDispatcher, at: int) -> int:
    """Enter the phase at `at` if nobody observes it; one whose handlers are to come is left to the emitted function."""
    phase = engine._graph.phases[phase_at(at)]
    if is_entered(at) or engine._registry.entries[phase.event].handlers:
        return at
    for action in phase.entry:
        execute(action, engine)
    return at + 1


def is_safe_point(engine: EventDispatcher, at: int) -> bool:
    """Say whether handlers are through at `at`, and it is no part of an activity, nor does the phase defer signals."""
    graph = engine._graph
    phase = graph.phases[phase_at(at)]
    if not is_entered(at) or phase_at(at) in graph.fired_phases:
        return False
    return phase.defer is None or not evaluate(phase.defer, engine)


def call_callbacks(engine: EventDispatcher) -> None:
    """Call what `Engine.call_when_safe` was given; what that asks for as well."""
    signals = engine._signals
    while signals.callbacks:
        callback, signals.is_calling_back = signals.callbacks.pop(0), True
        try:
            callback(engine)
        finally:
            signals.is_calling_back = False


def handle_signal(engine: EventDispatcher, at: int) -> int:
    """Take the edge of the first pending signal that has one from position `at`, and return where that leads.

    Signals are honoured between the handlers of a phase and its activity. Signals without an edge from the phase are
    dropped; those that were beaten, or that the phase defers, stay pending. An interrupt may insist on a phase that
    defers.
    """
    signals, graph = engine._signals, engine._graph
    edges = graph.signal_exits[phase_at(at)]
    if not is_safe_point(engine, at):
        if not is_entered(at) or phase_at(at) in graph.fired_phases or not signals.requests.get(Signal.INTERRUPT):
            return at
        del signals.requests[Signal.INTERRUPT]
        return _take(engine, Signal.INTERRUPT, edges[Signal.INTERRUPT], False, at)
    for signal in _PENDING:
        if signal not in signals.requests:
            continue
        skip = signals.requests.pop(signal)
        if signal in edges:
            return _take(engine, signal, edges[signal], skip, at)
    return at


def _take(engine: EventDispatcher, signal: Signal, edge: Transition, skip: bool, at: int) -> int:
    graph = engine._graph
    target = graph.index[edge.target]  # type: ignore[index]
    _note(engine, signal, skip, at, target in graph.terminal)
    move(engine, edge)
    return before(target) or IDLE_POSITION


def _note(engine: EventDispatcher, signal: Signal, skip: bool, at: int, rests: bool) -> None:
    cursor = engine._cursor
    engine.logger.info("%s is honoured in %s.", signal.value, engine._graph.phases[phase_at(at)])
    if signal is Signal.TERMINATE:
        cursor.skip_completed, cursor.outcome = skip, Outcome.TERMINATED
    elif signal is Signal.TERMINATE_EPOCH:
        cursor.skip_epoch_completed = skip
    elif rests:
        cursor.outcome = Outcome.INTERRUPTED
        if cursor.suspended_at is None:  # else it stopped before it had gone on
            cursor.suspended_at = at
