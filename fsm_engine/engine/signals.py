"""Handling of pending signals and callbacks: where it is safe, which signal goes first, and which edge it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsm_engine.dispatch.step_moves import move
from fsm_engine.graph.code import evaluate, execute
from fsm_engine.graph.positions import IDLE_POSITION, before, entered, is_entered, phase_at
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import Transition
from fsm_engine.persistence.exact_position import current_place
from fsm_engine.runtime.cursor import Outcome

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher


def enter_unobserved(engine: EventDispatcher, position: int) -> int:
    """Enter the phase at `position` if it has no handlers, and return the new position.

    A phase with handlers is entered by the generated function, so its handlers run before signals are handled.
    """
    phase = engine._graph.phases[phase_at(position)]
    if is_entered(position) or engine._registry.entries[phase.event].attached:
        return position
    for action in phase.entry:
        execute(action, engine)
    return entered(position)


def is_safe_point(engine: EventDispatcher, position: int) -> bool:
    """Return True if signals may be handled at `position`.

    The handlers of the phase have run, the phase is not part of an activity, and it does not defer signals.
    """
    graph = engine._graph
    phase = graph.phases[phase_at(position)]
    if not is_entered(position) or phase_at(position) in graph.fired_phases:
        return False
    return phase.defer is None or not evaluate(phase.defer, engine)


def call_callbacks(engine: EventDispatcher) -> None:
    """Call the callbacks given to `Engine.call_when_safe`, including any that these callbacks add."""
    signals = engine._signals
    while signals.callbacks:
        callback, signals.is_calling_back = signals.callbacks.pop(0), True
        try:
            callback(engine)
        finally:
            signals.is_calling_back = False


def handle_signal(engine: EventDispatcher, position: int) -> int:
    """Take the edge of the first pending signal that has one from `position`, and return the position that it leads to.

    Signals without an edge from the phase are dropped. Signals of lower precedence, and signals that the phase defers,
    stay pending. An interrupt by a breakpoint is handled even if the phase defers signals.
    """
    signals, graph = engine._signals, engine._graph
    edges = graph.signal_exits[phase_at(position)]
    if not is_safe_point(engine, position):
        can_stop = is_entered(position) and phase_at(position) not in graph.fired_phases
        if not (can_stop and signals.requests.get(Signal.INTERRUPT)):
            return position
        del signals.requests[Signal.INTERRUPT]
        return _take_edge(engine, Signal.INTERRUPT, edges[Signal.INTERRUPT], False, position)
    for signal in Signal:  # in order of precedence
        if signal not in signals.requests:
            continue
        skip = signals.requests.pop(signal)
        if signal in edges:
            return _take_edge(engine, signal, edges[signal], skip, position)
    return position


def _take_edge(engine: EventDispatcher, signal: Signal, edge: Transition, skip: bool, position: int) -> int:
    cursor, graph = engine._cursor, engine._graph
    target = graph.index[edge.target]  # type: ignore[index]
    engine.logger.info("Handling %s in %s.", signal.value, graph.phases[phase_at(position)])
    if signal is Signal.TERMINATE:
        cursor.stop = current_place(engine) if engine.resumes_exactly else None
        cursor.skip_completed, cursor.outcome = skip, Outcome.TERMINATED
    elif signal is Signal.TERMINATE_EPOCH:
        cursor.skip_epoch_completed, cursor.terminated_epoch = skip, engine.state.epoch
    elif target in graph.terminal:
        cursor.outcome = Outcome.INTERRUPTED
        if cursor.suspended_at is None:  # a run that is interrupted at RESUMED is still suspended at the first position
            cursor.suspended_at = position
    move(engine, edge)
    return before(target) or IDLE_POSITION
