"""`Frequency`: how many of something per second."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from fsm_engine.events.events import CallableEventWithFilter, Events
from fsm_engine.metrics.metric import Metric, NotComputableError, check_state_dict
from fsm_engine.metrics.usage import MetricUsage

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class Frequency(Metric):
    """How many of something there are per second in an epoch, such as examples, or tokens; in whole numbers.

    ``Frequency(output_transform=lambda output: output["tokens"]).attach(trainer, "tokens/s")``
    """

    def reset(self) -> None:
        """Start counting, and the clock."""
        self._sum: Any = 0
        self._since = perf_counter()
        self._seconds = 0.0

    def update(self, output: Any) -> None:
        """Add a number of things."""
        self._sum += output
        self._seconds = perf_counter() - self._since

    def compute(self) -> float:
        """Return how many there were per second, from `reset` to the last update.

        Raises:
            NotComputableError: if there was no update.
        """
        if not self._seconds:
            raise NotComputableError("Frequency must have at least one update before it can be computed.")
        return float(self._sum / self._seconds)

    def attach(  # type: ignore[override]  # it is told only when to compute
        self, engine: Engine, name: str, event_name: CallableEventWithFilter = Events.ITERATION_COMPLETED
    ) -> None:
        """Let `engine` compute it whenever the event is fired, over the epoch so far."""
        super().attach(engine, name, _until(event_name))

    def detach(  # type: ignore[override]
        self, engine: Engine, event_name: CallableEventWithFilter = Events.ITERATION_COMPLETED
    ) -> None:
        """Undo `attach` with this event, under all names; nothing happens if it is not attached."""
        super().detach(engine, _until(event_name))

    def is_attached(  # type: ignore[override]
        self, engine: Engine, event_name: CallableEventWithFilter = Events.ITERATION_COMPLETED
    ) -> bool:
        """Say whether `engine` computes it at this event."""
        return super().is_attached(engine, _until(event_name))

    def state_dict(self) -> dict[str, Any]:
        """Return the count, and the seconds that it took."""
        return {"sum": self._sum, "seconds": self._seconds}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned; the clock goes on from the last update.

        Raises:
            TypeError: if it is no mapping.
            ValueError: if it was that of another metric.
        """
        check_state_dict(self, state_dict, ["sum", "seconds"])
        self._sum, self._seconds = state_dict["sum"], state_dict["seconds"]
        self._since = perf_counter() - self._seconds

    def _result(self) -> int:
        return int(self.compute())


def _until(event: CallableEventWithFilter) -> MetricUsage:
    return MetricUsage(Events.EPOCH_STARTED, event, Events.ITERATION_COMPLETED)
