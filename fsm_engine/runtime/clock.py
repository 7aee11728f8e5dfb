"""`state.times`: how long an epoch and a run took, in seconds of a monotonic clock, time suspended left out."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


def start_run_clock(engine: Engine) -> None:
    """Start the clocks of a new run, and set both times to zero."""
    engine._here.run_clock = engine._here.epoch_clock = perf_counter()
    engine.state.times["EPOCH_COMPLETED"] = engine.state.times["COMPLETED"] = 0.0


def start_epoch_clock(engine: Engine) -> None:
    """Start the clock of an epoch."""
    engine._here.epoch_clock = perf_counter()


def take_epoch_time(engine: Engine) -> None:
    """Note the time of the epoch so far."""
    engine.state.times["EPOCH_COMPLETED"] = perf_counter() - engine._here.epoch_clock


def end_epoch(engine: Engine) -> None:
    """Note the time of the epoch, its handlers included, and log it."""
    take_epoch_time(engine)
    seconds = engine.state.times["EPOCH_COMPLETED"]
    engine.logger.info("Epoch %s completed in %.3f s.", engine.state.epoch, seconds)


def take_run_time(engine: Engine) -> None:
    """Note the time of the run so far."""
    engine.state.times["COMPLETED"] = perf_counter() - engine._here.run_clock


def turn_clocks(engine: Engine) -> None:
    """Turn the starts of the clocks into time elapsed, when a run is suspended, or back, when it goes on."""
    here, now = engine._here, perf_counter()
    here.run_clock = now - here.run_clock
    here.epoch_clock = now - here.epoch_clock
