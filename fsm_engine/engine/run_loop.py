"""A run of an engine: how it begins, goes on after each look, fails, and ends; the loop itself is in `Engine.run`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from fsm_engine._util.errors import BusyError
from fsm_engine.dispatch.step_moves import move
from fsm_engine.engine import error_recovery as recovery
from fsm_engine.engine import handler_checks, recording
from fsm_engine.engine.signals import call_waiting, entered, honour, is_settled
from fsm_engine.graph.signals import Signal
from fsm_engine.persistence import state_dict as saving
from fsm_engine.runtime import clock
from fsm_engine.runtime import data_iter as batches
from fsm_engine.runtime import run_limits as limits
from fsm_engine.runtime.cursor import IDLE_AT, Outcome
from fsm_engine.runtime.exact_data import restore_with

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
    here, state = engine._here, engine.state
    before = state.max_epochs, state.max_iters
    new, goes_on = _settle_limits(engine, data, max_epochs, max_iters, epoch_length)
    here.finished &= before == (state.max_epochs, state.max_iters)
    here.requests.clear()
    here.waiting.clear()
    engine._debug = engine.logger.isEnabledFor(logging.DEBUG)
    engine._driver = engine._driven() if driver == "transitions" else None
    engine._tables = None
    handler_checks.warn(engine)
    if here.generators is not None:
        restore_with(engine.state.dataloader if data is None else data, here.generators)
        here.generators = None
    if goes_on:
        _go_on(engine, data)
    else:
        _start(engine, data, new)
    here.outcome, here.callback = None, None
    engine._running = True
    recording.begin(engine)
    return -1


def _refuse(engine: Engine, driver: str) -> None:
    if engine._running:
        raise BusyError(
            f"run() was called while this engine is running, in {engine.phase}. One engine runs one thing at a "
            f"time: run another Engine here, or call run() again after this run has ended."
        )
    if driver not in ("emitted", "transitions"):
        raise ValueError(f"driver={driver!r} is not known. Give 'emitted' or 'transitions'.")
    engine.lifecycle._pass()


def _settle_limits(
    engine: Engine, data: Any, max_epochs: int | None, max_iters: int | None, epoch_length: int | None
) -> tuple[bool, bool]:
    """Set the limits of the run, and return whether it is new, and whether it goes on where one was suspended."""
    here, state = engine._here, engine.state
    limits.check_limits(max_epochs, max_iters, epoch_length)
    suspended = here.left is not None
    if not engine._graph.has_epochs:
        limits.refuse_limits(engine.lifecycle.name, max_epochs, max_iters, epoch_length)
        return not suspended and not engine._loaded, suspended
    new = limits.is_new_run(state, max_epochs, max_iters, suspended or here.finished)
    goes_on = suspended and not new
    if goes_on and data is None and here.has_data and here.batches is None and state.dataloader is None:
        raise ValueError("this run had data, which is not kept when an engine is pickled: give it to run() again.")
    settle = limits.start_limits if new else limits.resume_limits
    settle(state, state.dataloader if goes_on and data is None else data, max_epochs, max_iters, epoch_length)
    return new, goes_on


def _start(engine: Engine, data: Any, new: bool) -> None:
    here, state = engine._here, engine.state
    if new:
        state.errors = {}
        for counter in engine._graph.counters.values():
            setattr(state, counter, 0)
    loaded, engine._loaded = engine._loaded and not new, False
    untouched = loaded and not saving.has_begun(engine)
    if new or untouched:
        engine._registry.restart_counts()
    here.restart(has_data=data is not None)
    here.at = IDLE_AT
    here.loaded = loaded and not untouched
    state.dataloader = data
    if loaded:
        saving.place_loaded(engine)
    if here.finished and not limits.nothing_left(state):
        engine.logger.info("The run that was loaded had ended, so this one ends at once. A higher limit lets it go on.")
        here.requests[Signal.TERMINATE] = False
    here.finished = False
    engine.logger.info("Engine run starting with max_epochs=%s, max_iters=%s.", state.max_epochs, state.max_iters)


def _go_on(engine: Engine, data: Any) -> None:
    here, state = engine._here, engine.state
    assert here.left is not None
    here.loaded = False  # RESUMED, which comes next, tells of that, too
    phase = engine._graph.phases[here.left >> 1]
    batches.resume_data(engine, data)
    clock.turn_clocks(engine)
    engine.logger.info("Engine run resuming in %s, iteration %s, epoch %s.", phase, state.iteration, state.epoch)


def start_moving(engine: Engine) -> int:
    """Take the edge that `run` is the signal for."""
    graph = engine._graph
    edge = graph.signalled[engine._here.at >> 1][Signal.RUN]
    engine._here.attention = False
    move(engine, edge)
    return 2 * graph.index[edge.target]  # type: ignore[index]


def settle(engine: Engine, at: int) -> int:
    """Do at `at` what was asked for since the last look, and return where to go on."""
    here, resting = engine._here, engine._graph.resting
    if at in resting and not here.waiting:
        return at
    here.attention = False  # first: a signal that arrives from now on is seen by the next look
    here.at = at
    if here.requests or here.waiting:
        here.at = at = entered(engine, at)
        if here.waiting and is_settled(engine, at):
            call_waiting(engine)
        if here.requests and at not in resting:
            here.at = at = honour(engine, at)
        here.attention = bool(here.requests or here.waiting)
    return at


def fail(engine: Engine, error: BaseException) -> int:
    """Leave where `error` was raised, by the edge that takes it, and return where that leads."""
    here, graph = engine._here, engine._graph
    here.moves = None
    here.at = max(here.at, 0)
    if here.error is not None and error.__context__ is None and error is not here.error:
        error.__context__ = here.error  # as in an except clause, which a handler of the error stands for
    try:
        edge, error = recovery.leave_failing(engine, error)
        position = here.stepping if here.at >> 1 in graph.fired_phases else here.at | 1
        if edge.error:
            here.failed = position
        else:
            slot = engine._registry.slots[edge.target]  # type: ignore[index]
            here.handled = bool(slot.attached) and isinstance(error, Exception)
            here.requests.clear()
            here.ending, here.broken = error, position
        here.error = error
        return 2 * graph.index[edge.target] or IDLE_AT  # type: ignore[index]
    finally:
        del error  # its traceback refers to this frame


def end(engine: Engine, at: int) -> BaseException | None:
    """Let `engine` rest at `at`, suspended or in IDLE, and return the error that nobody took."""
    try:
        call_waiting(engine)  # nothing does, unless a handler of EXCEPTION_RAISED has raised
    finally:
        unhandled = _rest(engine, at)
    return unhandled


def _rest(engine: Engine, at: int) -> BaseException | None:
    here = engine._here
    engine._running = False
    engine._driver = None
    failed, error = here.ending is not None, None if here.handled else here.ending
    here.ended = here.at >> 1
    here.error, here.ending, here.broken, here.handled = None, None, None, False
    here.requests.clear()
    if here.outcome is Outcome.INTERRUPTED and at in engine._graph.resting and at != IDLE_AT:
        here.at = at
        clock.turn_clocks(engine)
    else:
        here.outcome = Outcome.FAILED if failed else here.outcome or Outcome.COMPLETED
        here.at, here.left, here.batches = IDLE_AT, None, None
    engine.logger.info(
        "Engine run %s after %s epochs, %s iterations.", here.outcome, engine.state.epoch, engine.state.iteration
    )
    recording.end(engine)
    return error
