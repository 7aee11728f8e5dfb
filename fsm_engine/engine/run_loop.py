"""The steps of a run around its loop: begin, handle requests, fail, end. The loop itself is in `Engine.run`."""

from __future__ import annotations

import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any

from fsm_engine._util.errors import BusyError
from fsm_engine.dispatch.step_moves import move
from fsm_engine.engine import handler_checks, recording
from fsm_engine.engine.error_recovery import take_error_edge
from fsm_engine.engine.signals import call_callbacks, enter_unobserved, handle_signal, is_safe_point
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.positions import IDLE_POSITION, before, entered, phase_at
from fsm_engine.graph.signals import Signal
from fsm_engine.persistence.state_dict import has_begun, resume_epoch
from fsm_engine.runtime import data_iter, run_ends, run_limits
from fsm_engine.runtime.claim import Claim
from fsm_engine.runtime.cursor import Outcome
from fsm_engine.runtime.data_description import warn_of_other_data
from fsm_engine.runtime.exact_data import restore_rng_states

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

NOT_STARTED = -1
"""The position of a run before `take_run_edge`."""


def claim(engine: Engine) -> threading.Lock:
    """Claim `engine` for a run, so that of several threads only one can.

    Returns:
        A context manager. The engine is running as long as this object exists, so it must be kept on the stack, and
        not in a variable: the traceback of an exception keeps the variables of each frame. It is a lock because a lock
        has no Python code that an exception could interrupt; nothing waits for it.

    Raises:
        BusyError: the engine is running.
    """
    holder = [threading.Lock()]
    claimed = Claim(weakref.ref(holder[0]))
    try:
        if not claimed.succeed(engine._claim):
            raise BusyError(
                f"run() was called while this engine is running; it is in {engine.phase}. Use another Engine for a run "
                f"inside this one, or call run() again after this run has ended."
            )
        engine._claim = claimed
        return holder.pop()
    except BaseException:
        holder.clear()  # the traceback keeps the variables of this frame
        raise


def begin(
    engine: Engine, data: Any, max_epochs: int | None, max_iters: int | None, epoch_length: int | None, driver: str
) -> None:
    """Check the arguments of a run, then prepare `engine` to start a new run or to resume.

    Raises:
        LifecycleError, ValueError, TypeError: see `Engine.run`. A suspended run can still be resumed then.
    """
    _raise_if_cannot_run(engine, driver)
    if data is not None:
        data_iter.check_data(data, may_be_empty=engine._agreement is not None)  # other processes may have the batches
    cursor, signals, data_pass, state = engine._cursor, engine._signals, engine._data_pass, engine.state
    previous_limits = state.max_epochs, state.max_iters
    is_new, resumes = _set_limits(engine, data, max_epochs, max_iters, epoch_length)
    if engine._lengths is not None:
        engine._lengths.begin_run(state.dataloader if resumes and data is None else data)
    if previous_limits != (state.max_epochs, state.max_iters) and cursor.loaded_end is Outcome.COMPLETED:
        cursor.loaded_end = None
    if signals.requests:
        _warn_of_early_requests(engine)
    signals.requests.clear()
    signals.callbacks.clear()
    engine._failure.reset_process()
    debug = engine.logger.isEnabledFor(logging.DEBUG)
    if debug is not engine._debug:  # comparing first, because an assignment to an engine costs more
        engine._debug = debug
    if driver == "transitions" or engine._driver is not None:
        engine._driver = engine._machine_driver() if driver == "transitions" else None
    if engine._firable_moves is not None:  # an exception may have cut short the last change of handlers
        engine._firable_moves = None
    engine._has_handlers_cache.clear()
    handler_checks.warn(engine)
    if data_pass.resume_rng is not None:
        restore_rng_states(state.dataloader if data is None else data, data_pass.resume_rng)
    if data_pass.saved_data is not None and not is_new:
        warn_of_other_data(engine, data_pass.saved_data, state.dataloader if data is None else data)
    if resumes:
        _resume(engine, data)
    else:
        _start(engine, data, is_new)
    data_pass.resume_rng = data_pass.saved_data = data_pass.loaded_opening_rng = cursor.loaded_end = None
    cursor.outcome, cursor.callback_event = None, None
    recording.begin(engine)
    run_ends.begin(engine)
    if engine._agreement is not None:
        engine._agreement.begin_run()


def _warn_of_early_requests(engine: Engine) -> None:
    calls = " and ".join(f"{signal.value}()" for signal in engine._signals.requests)
    engine.logger.warning(
        "%s was called before this run, and has no effect on it. Call it during the run: in a handler, in the step or "
        "from another thread. To suspend a run at a phase, use run(data, until=event).",
        calls,
    )


def _raise_if_cannot_run(engine: Engine, driver: str) -> None:
    if driver not in ("compiled", "transitions"):
        raise ValueError(f"unknown driver={driver!r}; pass 'compiled' or 'transitions'.")
    engine.lifecycle._ensure_valid()


def _set_limits(
    engine: Engine, data: Any, max_epochs: int | None, max_iters: int | None, epoch_length: int | None
) -> tuple[bool, bool]:
    """Set the limits of the run; return whether the run is new, and whether it resumes a suspended run."""
    cursor, data_pass, state = engine._cursor, engine._data_pass, engine.state
    run_limits.check_limits(max_epochs, max_iters, epoch_length)
    suspended = cursor.suspended_at is not None
    if not engine._graph.has_epochs:
        run_limits.raise_if_limited(engine.lifecycle.name, max_epochs, max_iters, epoch_length)
        return not suspended and not engine._has_loaded_state, suspended
    is_new = run_limits.is_new_run(state, max_epochs, max_iters, suspended or cursor.loaded_end is Outcome.COMPLETED)
    resumes = suspended and not is_new
    if resumes and data is None and data_pass.has_data and data_pass.iterator is None and state.dataloader is None:
        raise ValueError("this run had data, which a pickle or a state dict does not contain. Pass it: run(data).")
    set_limits = run_limits.start_limits if is_new else run_limits.resume_limits
    set_limits(engine, state.dataloader if resumes and data is None else data, max_epochs, max_iters, epoch_length)
    return is_new, resumes


def _start(engine: Engine, data: Any, is_new: bool) -> None:
    cursor, signals, state = engine._cursor, engine._signals, engine.state
    if is_new:
        state.errors = {}
        for counter in engine._graph.counters.values():
            setattr(state, counter, 0)
    is_loaded = engine._has_loaded_state and not is_new
    if engine._has_loaded_state:
        engine._has_loaded_state = False
    has_progress = is_loaded and has_begun(engine)
    if is_new or (is_loaded and not has_progress):
        engine._registry.restart_counts()
    engine._restart(has_data=data is not None)
    cursor.position = IDLE_POSITION
    cursor.is_loaded = has_progress
    state.dataloader = data
    if is_loaded:
        resume_epoch(engine)
    if cursor.loaded_end is Outcome.COMPLETED:
        engine.logger.info("The loaded run had completed, so this run ends at once. %s", how_to_continue(engine))
        if not run_limits.limits_reached(state):
            signals.requests[Signal.TERMINATE] = False
    engine.logger.info("Engine run starting with max_epochs=%s, max_iters=%s.", state.max_epochs, state.max_iters)


def _resume(engine: Engine, data: Any) -> None:
    cursor, state = engine._cursor, engine.state
    assert cursor.suspended_at is not None
    cursor.is_loaded = False  # RESUMED, which is fired next, covers the loaded state
    phase = engine._graph.phases[phase_at(cursor.suspended_at)]
    data_iter.resume_data(engine, data)
    engine._clocks.toggle()
    how = " after it was terminated" if cursor.loaded_end is Outcome.TERMINATED else ""
    engine.logger.info("Engine run resuming%s in %s, iteration %s, epoch %s.", how, phase, state.iteration, state.epoch)
    unfinished = Scope.EPOCH if state.max_iters is None else Scope.ITERATION
    if not unfinished.contains(phase.scope) and run_limits.limits_reached(state):
        engine.logger.info("The run has reached its limit, so it ends at once. %s", how_to_continue(engine))


def how_to_continue(engine: Engine) -> str:
    """Return a sentence for the log of a loaded run that ends at once."""
    state = engine.state
    if not engine._graph.has_epochs:
        return "Call run() again to start a new run."
    if state.max_iters is None:
        return f"To continue it, pass a higher limit than max_epochs={state.max_epochs}."
    return f"To continue it, pass a higher limit than max_iters={state.max_iters}."


def take_run_edge(engine: Engine) -> int:
    """Take the edge of the signal `run`, from IDLE or INTERRUPT, and return the position that it leads to."""
    graph = engine._graph
    edge = graph.signal_exits[phase_at(engine._cursor.position)][Signal.RUN]
    engine._signals.needs_attention = False
    move(engine, edge)
    return before(graph.index[edge.target])  # type: ignore[index]


def handle_requests(engine: Engine, position: int) -> int:
    """Handle pending callbacks and signals at `position`, and return the position to continue at."""
    cursor, signals, graph = engine._cursor, engine._signals, engine._graph
    if position in graph.terminal_positions and not signals.callbacks:
        return position
    signals.needs_attention = False  # first, so that a signal that arrives from here on sets it again
    cursor.position = position
    agreement = engine._agreement
    if signals.requests or signals.callbacks or (agreement is not None and agreement.is_pending):
        cursor.position = position = enter_unobserved(engine, position)
        is_safe = is_safe_point(engine, position)
        if signals.callbacks and is_safe:
            call_callbacks(engine)
        if agreement is not None and agreement.is_pending and is_safe:
            signals.requests.update(agreement.at_safe_point(position))
        if signals.requests and position not in graph.terminal_positions:
            cursor.position = position = handle_signal(engine, position)
        # never store False here: a signal may have arrived meanwhile
        if signals.requests or signals.callbacks or (agreement is not None and agreement.is_pending):
            signals.needs_attention = True
    if agreement is not None:
        agreement.leave_safe_point()
    return position


def fail(engine: Engine, error: BaseException) -> int:
    """Leave the current phase by the edge that takes `error`, and return the position to continue at.

    Raises:
        BaseException: no edge takes `error`; see `take_error_edge`.
    """
    cursor, signals, failure, graph = engine._cursor, engine._signals, engine._failure, engine._graph
    cursor.moves = None
    if failure.error is not None and error.__context__ is None and error is not failure.error:
        error.__context__ = failure.error  # as Python does in an except clause: `error` came up during its handling
    try:
        try:
            edge, error = take_error_edge(engine, error)
        finally:
            if phase_at(cursor.position) in graph.step_phases:
                abandon_step(engine)
        position = (
            cursor.activity_position
            if phase_at(cursor.position) in graph.fired_phases
            else graph.retry_position(entered(cursor.position))
        )
        if edge.error:
            failure.recovered_from = position
        else:
            entry = engine._registry.entries[edge.target]  # type: ignore[index]
            failure.is_handled = bool(entry.attached) and isinstance(error, Exception)
            signals.requests.clear()
            failure.final_error, failure.failed_position = error, position
        failure.error = error
        return before(graph.index[edge.target]) or IDLE_POSITION  # type: ignore[index]
    finally:
        del error  # its traceback refers to this frame


def abandon_step(engine: Engine) -> None:
    """Drop what a step with parts has computed in this iteration, because it failed and will not be completed."""
    engine._drop_step_values()
    abandon = getattr(engine._step, "abandon", None)
    if abandon is not None:
        abandon()


def end(engine: Engine, position: int) -> BaseException | None:
    """End or suspend the run at `position`, and return the exception that `run` raises, if any."""
    try:
        call_callbacks(engine)  # some are pending only if a handler of EXCEPTION_RAISED raised
    finally:
        unhandled = _finish(engine, position)
        late = run_ends.end(engine)
    return late if unhandled is None else unhandled


def _finish(engine: Engine, position: int) -> BaseException | None:
    cursor, signals, data_pass, failure = engine._cursor, engine._signals, engine._data_pass, engine._failure
    if engine._driver is not None:
        engine._driver = None
    if engine._agreement is not None:
        engine._agreement.end_run(engine._failure.final_error)
    error = failure.final_error
    has_failed, unhandled = error is not None, None if failure.is_handled else error
    cursor.last_phase = phase_at(cursor.position)
    failure.reset_process()
    signals.requests.clear()
    is_suspended = position in engine._graph.terminal_positions and position != IDLE_POSITION
    if is_suspended and cursor.outcome is Outcome.INTERRUPTED:
        cursor.position = position
        engine._clocks.toggle()
    else:
        cursor.outcome = Outcome.FAILED if has_failed else cursor.outcome or Outcome.COMPLETED
        cursor.position, cursor.suspended_at, data_pass.iterator = IDLE_POSITION, None, None
    engine.logger.info(
        "Engine run %s after %s epochs, %s iterations.", cursor.outcome, engine.state.epoch, engine.state.iteration
    )
    recording.end(engine, error)
    return unhandled
