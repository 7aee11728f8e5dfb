"""`state.times`: how long an epoch and a run took, in seconds of a monotonic clock, time suspended left out."""

from __future__ import annotations

from time import perf_counter

from fsm_engine.runtime.run import Run


def start_run_clock(run: Run) -> None:
    """Start the clocks of a new run, and set both times to zero."""
    run._here.run_clock = run._here.epoch_clock = perf_counter()
    run.state.times["EPOCH_COMPLETED"] = run.state.times["COMPLETED"] = 0.0


def start_epoch_clock(run: Run) -> None:
    """Start the clock of an epoch."""
    run._here.epoch_clock = perf_counter()


def take_epoch_time(run: Run) -> None:
    """Note the time of the epoch so far."""
    run.state.times["EPOCH_COMPLETED"] = perf_counter() - run._here.epoch_clock


def end_epoch(run: Run) -> None:
    """Note the time of the epoch, its handlers included, and log it."""
    take_epoch_time(run)
    seconds = run.state.times["EPOCH_COMPLETED"]
    run.logger.info("Epoch %s completed in %.3f s.", run.state.epoch, seconds)


def take_run_time(run: Run) -> None:
    """Note the time of the run so far."""
    run.state.times["COMPLETED"] = perf_counter() - run._here.run_clock


def turn_clocks(run: Run) -> None:
    """Turn the starts of the clocks into time elapsed, when a run is suspended, or back, when it goes on."""
    here, now = run._here, perf_counter()
    here.run_clock = now - here.run_clock
    here.epoch_clock = now - here.epoch_clock
