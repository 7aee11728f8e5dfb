"""`Clocks`: the times of a run and of its epoch, in seconds of a monotonic clock, without suspended or paused time."""

from __future__ import annotations

import logging

from fsm_engine.runtime.part import Part
from fsm_engine.runtime.pauses import running_time
from fsm_engine.runtime.state import State


class Clocks(Part):
    """The starting times of a run and its epoch; while the run is suspended, the seconds elapsed before."""

    __slots__ = ("epoch", "run")
    SAVED = ("run", "epoch")

    def __init__(self) -> None:
        self.run = 0.0
        self.epoch = 0.0
        super().__init__()

    def start_run(self, state: State) -> None:
        """Start both clocks, and set both times in `state` to zero."""
        self.run = self.epoch = running_time()
        state.times["EPOCH_COMPLETED"] = state.times["COMPLETED"] = 0.0

    def start_epoch(self) -> None:
        """Start the clock of the epoch."""
        self.epoch = running_time()

    def stop_epoch(self, state: State) -> None:
        """Set the epoch's time in `state` to the seconds elapsed so far."""
        state.times["EPOCH_COMPLETED"] = running_time() - self.epoch

    def stop_run(self, state: State) -> None:
        """Set the run's time in `state` to the seconds elapsed so far."""
        state.times["COMPLETED"] = running_time() - self.run

    def toggle(self) -> None:
        """Convert starting times to elapsed seconds when a run is suspended, and back when it resumes."""
        now = running_time()
        self.run, self.epoch = now - self.run, now - self.epoch


def log_epoch(logger: logging.Logger, state: State) -> None:
    """Log the number and the time of the epoch that ends."""
    seconds = state.times["EPOCH_COMPLETED"]
    if seconds is not None and logger.isEnabledFor(logging.INFO):
        logger.info("Epoch[%s] Complete. Time taken: %s", state.epoch, _hours(seconds))


def _hours(seconds: float) -> str:
    """Return a time as hours, minutes, seconds and milliseconds: ``00:01:02.500``."""
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest / 1000:06.3f}"
