"""`Timer`: measures the time between events of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsm_engine.events.events import AnyEvent, Events, EventsList
from fsm_engine.runtime.pauses import running_time

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class Timer:
    """Measure time in seconds from the moment the timer is made; it can be paused and resumed.

    The clock is `time.perf_counter` of the host, without the pauses of an inspector. The timer does not synchronize
    with a device, so it does not include work that is only queued there. With several ranks, each measures its own
    time.

    Args:
        average: `value` returns the time per step instead of the whole time.

    Attributes:
        total: seconds up to the last pause.
        step_count: number of calls of `step` since the last reset.

    Example:
        >>> timer, trainer = Timer(average=True), Engine(lambda engine, batch: batch)
        >>> _ = timer.attach(trainer, start=Events.EPOCH_STARTED, step=Events.ITERATION_COMPLETED)
        >>> _ = trainer.run([1, 2, 3])
        >>> timer.step_count
        3
    """

    def __init__(self, average: bool = False) -> None:
        self._average = average
        self.reset()

    @property
    def running(self) -> bool:
        """True unless the timer is paused."""
        return self._since is not None

    def attach(
        self,
        engine: Engine,
        start: AnyEvent | EventsList = Events.STARTED,
        pause: AnyEvent | EventsList = Events.COMPLETED,
        resume: AnyEvent | EventsList | None = None,
        step: AnyEvent | EventsList | None = None,
    ) -> Timer:
        """Reset, pause, resume and step this timer at events of `engine`.

        For the average time of a step, without the time for its batch::

            Timer(average=True).attach(
                engine,
                start=Events.EPOCH_STARTED,
                resume=Events.ITERATION_STARTED,
                pause=Events.EPOCH_STARTED | Events.ITERATION_COMPLETED,
                step=Events.ITERATION_COMPLETED,
            )

        Args:
            engine: the engine to measure.
            start: event that resets and starts the timer.
            pause: event that pauses the timer.
            resume: event that resumes the timer; None for no such event.
            step: event that counts a step; None for no such event.

        Returns:
            This timer.

        Raises:
            ValueError: an event is not registered.
        """
        handlers = {self.reset: start, self.pause: pause, self.resume: resume, self.step: step}
        for handler, event in handlers.items():
            if event is not None:
                engine.add_event_handler(event, handler)
        return self

    # These methods ignore all arguments, so that each can be a handler of any event.

    def reset(self, *_: Any) -> Timer:
        """Set the time and the steps to zero, and start the timer."""
        self.total = 0.0
        self.step_count = 0
        self._since: float | None = running_time()
        return self

    def pause(self, *_: Any) -> None:
        """Pause the timer; no effect if it is paused."""
        self.total, self._since = self._seconds(), None

    def resume(self, *_: Any) -> None:
        """Resume the timer; no effect if it is running."""
        if self._since is None:
            self._since = running_time()

    def step(self, *_: Any) -> None:
        """Count a step."""
        self.step_count += 1

    def value(self) -> float:
        """Return the seconds so far; with `average`, the seconds per step (before the first step, all seconds)."""
        return self._seconds() / max(self.step_count, 1) if self._average else self._seconds()

    def _seconds(self) -> float:
        return self.total if self._since is None else self.total + running_time() - self._since
