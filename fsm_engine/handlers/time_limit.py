"""`TimeLimit`: terminates a run that takes too long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsm_engine.handlers.event_callback import EventCallback
from fsm_engine.runtime.pauses import running_time

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class TimeLimit(EventCallback):
    """Terminate the run after a number of seconds since the handler was made; a handler of any event.

    The time is compared only when the event is fired, so the run continues until then. Pauses of an inspector do not
    count. A pickled or copied handler starts its time again when it is loaded or copied.

    With several ranks, each has its own clock, and the first to exceed the limit ends the engines that ``ranks.attach``
    knows on all ranks together.

    The limit counts for each process: a run that another process resumes from a checkpoint continues with the next
    batch, see `Engine.load_state_dict`. Attach the `Checkpoint` to COMPLETED, too, to save the run at the limit.

    Args:
        limit_sec: the limit in seconds; eight hours unless given.

    Raises:
        TypeError: `limit_sec` is not an integer.
        ValueError: `limit_sec` is not positive.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> _ = trainer.add_event_handler(Events.ITERATION_COMPLETED, TimeLimit(limit_sec=3600))
        >>> _ = trainer.run([1, 2])
        >>> print(trainer.outcome)
        completed
    """

    def __init__(self, limit_sec: int = 28800) -> None:
        if not isinstance(limit_sec, int):
            raise TypeError(f"Argument limit_sec should be an integer. Got {limit_sec!r}.")
        if limit_sec <= 0:
            raise ValueError(f"Argument limit_sec should be a positive integer. Got {limit_sec!r}.")
        self.limit_sec = limit_sec
        self._start = running_time()

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _start=running_time())

    def __call__(self, engine: Engine) -> None:
        """Log the time and call ``engine.terminate()`` if the limit is exceeded."""
        elapsed = running_time() - self._start
        if elapsed > self.limit_sec:
            engine.logger.info(
                "TimeLimit: %.1f s have passed, more than the limit of %s s. The run is terminated.",
                elapsed,
                self.limit_sec,
            )
            engine.terminate()
