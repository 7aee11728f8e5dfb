"""`Timer`: how long a stretch of a run takes."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from fsm_engine.events.events import AnyEvent, Events, EventsList

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class Timer:
    """Measures seconds on the host's monotonic clock, from when it is made; it can be paused.

    It does not wait for the device: work that is only queued there is not in the time.

    Args:
        average: whether `value` is the time per step instead of all of it.

    Attributes:
        total: seconds up to the last pause.
        step_count: how often `step` was called since the last reset.
    """

    def __init__(self, average: bool = False) -> None:
        self._average = average
        self.reset()

    @property
    def running(self) -> bool:
        """Whether the clock runs."""
        return self._since is not None

    def attach(
        self,
        engine: Engine,
        start: AnyEvent | EventsList = Events.STARTED,
        pause: AnyEvent | EventsList = Events.COMPLETED,
        resume: AnyEvent | EventsList | None = None,
        step: AnyEvent | EventsList | None = None,
    ) -> Timer:
        """Let events of `engine` reset, pause, resume and step this timer.

        The time of a step without its data, the first batch of an epoch included::

            Timer(average=True).attach(
                engine,
                start=Events.EPOCH_STARTED,
                resume=Events.ITERATION_STARTED,
                pause=Events.EPOCH_STARTED | Events.ITERATION_COMPLETED,
                step=Events.ITERATION_COMPLETED,
            )

        Args:
            engine: the engine to time.
            start: resets the timer and lets it run.
            pause: stops the clock.
            resume: lets the clock go on; None for never.
            step: counts a step; None for never.

        Returns:
            This timer.

        Raises:
            ValueError: for an event that is not registered.
        """
        handlers = {self.reset: start, self.pause: pause, self.resume: resume, self.step: step}
        for handler, event in handlers.items():
            if event is not None:
                engine.add_event_handler(event, handler)
        return self

    # Arguments are ignored, so that each of these can be a handler of any event.

    def reset(self, *_: Any) -> Timer:
        """Start again from zero, running."""
        self.total = 0.0
        self.step_count = 0
        self._since: float | None = perf_counter()
        return self

    def pause(self, *_: Any) -> None:
        """Stop the clock; nothing happens if it stands still."""
        self.total, self._since = self._seconds(), None

    def resume(self, *_: Any) -> None:
        """Let the clock go on; nothing happens if it runs."""
        if self._since is None:
            self._since = perf_counter()

    def step(self, *_: Any) -> None:
        """Count a step."""
        self.step_count += 1

    def value(self) -> float:
        """Return the seconds so far, or with `average` the seconds per step; before the first step, of one."""
        return self._seconds() / max(self.step_count, 1) if self._average else self._seconds()

    def _seconds(self) -> float:
        return self.total if self._since is None else self.total + perf_counter() - self._since
