"""A run of an engine: how it begins, goes on after each look, fails, and ends; the loop itself is in `Engine.run`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from fsm_engine._util.errors import BusyError
from fsm_engine.dispatch.step_moves import move
from fsm_engine.engine import error_recovery as recovery
from fsm_engine.engine import handler_checks, recording
from fsm_engine.engine.signals import call_callbacks, enter_unobserved, handle_signal, is_safe_point
from fsm_engine.graph.positions import IDLE_POSITION, before, entered, phase_at
from fsm_engine.graph.signals import Signal
from fsm_engine.persistence import state_dict as saving
from fsm_engine.runtime import data_iter as batches
from fsm_engine.runtime import run_limits as limits
from fsm_engine.runtime.cursor import Outcome
from fsm_engine.runtime.exact_data import restore_rng_states

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


def begin(
    engine: Engine, data: Any, max_epochs: int | None, max_iters: int | None, epoch_length: int | None, driver: str
) -> int:
    """Check the arguments of a run, let `engine` stand where it starts or goes on, and return -1: nowhere yet.

    Raises:
        BusyError, LifecycleError, ValueError, TypeError: see `Engine.run`; nothing is changed then.
    """
    _refuse(engine, driver)
    if data is not None:
        batches.check_data(data)
    cursor, signals, data_pass, state = engine._cursor, engine._signals, engine._data_pass, engine.state
    earlier = state.max_epochs, state.max_iters
    new, goes_on = _set_limits(engine, data, max_epochs, max_iters, epoch_length)
    cursor.is_finished &= earlier == (state.max_epochs, state.max_iters)
    signals.requests.clear()
    signals.callbacks.clear()
    engine._debug = engine.logger.isEnabledFor(logging.DEBUG)
    engine._driver = engine._machine_driver() if driver == "transitions" else None
    engine._firable_moves = None
    handler_checks.warn(engine)
    if data_pass.resume_rng is not None:
        restore_rng_states(engine.state.dataloader if data is None else data, data_pass.resume_rng)
        data_pass.resume_rng = None
    if goes_on:
        _resume(engine, data)
    else:
        _start(engine, data, new)
    cursor.outcome, cursor.callback_event = None, None
    engine._running = True
    recording.begin(engine)
    return -1


def _refuse(engine: Engine, driver: str) -> None:
    if engine._running:
        raise BusyError(
            f"run() was called while this engine is running, in {engine.phase}. One engine runs one thing at a "
            f"time: run another Engine here, or call run() again after this run has ended."
        )
    if driver not in ("compiled", "transitions"):
        raise ValueError(f"unknown driver={driver!r}; pass 'compiled' or 'transitions'.")
    engine.lifecycle._ensure_valid()


def _set_limits(
    engine: Engine, data: Any, max_epochs: int | None, max_iters: int | None, epoch_length: int | None
) -> tuple[bool, bool]:
    """Set the limits of the run, and return whether it is new, and whether it goes on where one was suspended."""
    cursor, data_pass, state = engine._cursor, engine._data_pass, engine.state
    limits.check_limits(max_epochs, max_iters, epoch_length)
    suspended = cursor.suspended_at is not None
    if not engine._graph.has_epochs:
        limits.raise_if_limited(engine.lifecycle.name, max_epochs, max_iters, epoch_length)
        return not suspended and not engine._has_loaded_state, suspended
    new = limits.is_new_run(state, max_epochs, max_iters, suspended or cursor.is_finished)
    goes_on = suspended and not new
    if goes_on and data is None and data_pass.has_data and data_pass.iterator is None and state.dataloader is None:
        raise ValueError("this run had data, which is not kept when an engine is pickled: give it to run() again.")
    settle = limits.start_limits if new else limits.resume_limits
    settle(state, state.dataloader if goes_on and data is None else data, max_epochs, max_iters, epoch_length)
    return new, goes_on


def _start(engine: Engine, data: Any, new: bool) -> None:
    cursor, signals, state = engine._cursor, engine._signals, engine.state
    if new:
        state.errors = {}
        for counter in engine._graph.counters.values():
            setattr(state, counter, 0)
    loaded, engine._has_loaded_state = engine._has_loaded_state and not new, False
    untouched = loaded and not saving.has_begun(engine)
    if new or untouched:
        engine._registry.restart_counts()
    engine._restart(has_data=data is not None)
    cursor.position = IDLE_POSITION
    cursor.is_loaded = loaded and not untouched
    state.dataloader = data
    if loaded:
        saving.resume_epoch(engine)
    if cursor.is_finished and not limits.limits_reached(state):
        engine.logger.info("The run that was loaded had ended, so this one ends at once. A higher limit lets it go on.")
        signals.requests[Signal.TERMINATE] = False
    cursor.is_finished = False
    engine.logger.info("Engine run starting with max_epochs=%s, max_iters=%s.", state.max_epochs, state.max_iters)


def _resume(engine: Engine, data: Any) -> None:
    cursor, state = engine._cursor, engine.state
    assert cursor.suspended_at is not None
    cursor.is_loaded = False  # RESUMED, which comes next, tells of that, too
    phase = engine._graph.phases[phase_at(cursor.suspended_at)]
    batches.resume_data(engine, data)
    engine._clocks.toggle()
    engine.logger.info("Engine run resuming in %s, iteration %s, epoch %s.", phase, state.iteration, state.epoch)


def take_run_edge(engine: Engine) -> int:
    """Take the edge that `run` is the signal for."""
    graph = engine._graph
    edge = graph.signal_exits[phase_at(engine._cursor.position)][Signal.RUN]
    engine._signals.needs_attention = False
    move(engine, edge)
    return before(graph.index[edge.target])  # type: ignore[index]


def handle_requests(engine: Engine, at: int) -> int:
    """Do at `at` what was asked for since the last look, and return where to go on."""
    cursor, signals, graph = engine._cursor, engine._signals, engine._graph
    if at in graph.terminal_positions and not signals.callbacks:
        return at
    signals.needs_attention = False  # first: a signal that arrives from now on is seen by the next look
    cursor.position = at
    if signals.requests or signals.callbacks:
        cursor.position = at = enter_unobserved(engine, at)
        if signals.callbacks and is_safe_point(engine, at):
            call_callbacks(engine)
        if signals.requests and at not in graph.terminal_positions:
            cursor.position = at = handle_signal(engine, at)
        signals.needs_attention = bool(signals.requests or signals.callbacks)
    return at


def fail(engine: Engine, error: BaseException) -> int:
    """Leave where `error` was raised, by the edge that takes it, and return where that leads."""
    cursor, signals, failure, graph = engine._cursor, engine._signals, engine._failure, engine._graph
    cursor.moves = None
    cursor.position = max(cursor.position, 0)
    if failure.error is not None and error.__context__ is None and error is not failure.error:
        error.__context__ = failure.error  # as in an except clause, which a handler of the error stands for
    try:
        edge, error = recovery.take_error_edge(engine, error)
        position = (
            cursor.activity_position if phase_at(cursor.position) in graph.fired_phases else entered(cursor.position)
        )
        if edge.error:
            failure.recovered_from = position
        else:
            entry = engine._registry.entries[edge.target]  # type: ignore[index]
            failure.is_handled = bool(entry.handlers) and isinstance(error, Exception)
            signals.requests.clear()
            failure.final_error, failure.failed_position = error, position
        failure.error = error
        return before(graph.index[edge.target]) or IDLE_POSITION  # type: ignore[index]
    finally:
        del error  # its traceback refers to this frame


def end(engine: Engine, at: int) -> BaseException | None:
    """Let `engine` rest at `at`, suspended or in IDLE, and return the error that nobody took."""
    try:
        call_callbacks(engine)  # nothing does, unless a handler of EXCEPTION_RAISED has raised
    finally:
        unhandled = _finish(engine, at)
    return unhandled


def _finish(engine: Engine, at: int) -> BaseException | None:
    cursor, signals, data_pass, failure = engine._cursor, engine._signals, engine._data_pass, engine._failure
    engine._running = False
    engine._driver = None
    failed, error = failure.final_error is not None, None if failure.is_handled else failure.final_error
    cursor.last_phase = phase_at(cursor.position)
    failure.error, failure.final_error, failure.failed_position, failure.is_handled = None, None, None, False
    signals.requests.clear()
    if cursor.outcome is Outcome.INTERRUPTED and at in engine._graph.terminal_positions and at != IDLE_POSITION:
        cursor.position = at
        engine._clocks.toggle()
    else:
        cursor.outcome = Outcome.FAILED if failed else cursor.outcome or Outcome.COMPLETED
        cursor.position, cursor.suspended_at, data_pass.iterator = IDLE_POSITION, None, None
    engine.logger.info(
        "Engine run %s after %s epochs, %s iterations.", cursor.outcome, engine.state.epoch, engine.state.iteration
    )
    recording.end(engine)
    return error
