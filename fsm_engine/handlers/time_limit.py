"""`TimeLimit`: ends a run that has taken too long."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class TimeLimit:
    """Ends the run once a time is over, counted from when this is made; a handler of any event.

    The time is that of a process: unpickled, or copied, it begins anew. It is looked at when the event fires, so
    the run goes on from there to the next place where it may end.

    Args:
        limit_sec: how many seconds; eight hours unless given.

    Raises:
        TypeError: a limit that is no integer.
        ValueError: a limit that is not positive.
    """

    def __init__(self, limit_sec: int = 28800) -> None:
        if not isinstance(limit_sec, int):
            raise TypeError(f"Argument limit_sec should be an integer. Got {limit_sec!r}.")
        if limit_sec <= 0:
            raise ValueError(f"Argument limit_sec should be a positive integer. Got {limit_sec!r}.")
        self.limit_sec = limit_sec
        self._since = monotonic()

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _since=monotonic())

    def __call__(self, engine: Engine) -> None:
        """Call ``engine.terminate()``, with a line in the engine's log, if the time is over."""
        elapsed = monotonic() - self._since
        if elapsed > self.limit_sec:
            engine.logger.info(
                "TimeLimit: %.1f s have passed, more than the limit of %s s. The run is terminated.",
                elapsed,
                self.limit_sec,
            )
            engine.terminate()
