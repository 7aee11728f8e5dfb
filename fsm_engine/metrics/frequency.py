"""`Frequency`: number of items processed per second."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar

from fsm_engine.events.events import CallableEventWithFilter, Events
from fsm_engine.metrics.metric import Metric, NotComputableError
from fsm_engine.metrics.rank_states import Reductions
from fsm_engine.metrics.usage import MetricUsage
from fsm_engine.runtime.pauses import running_time

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class Frequency(Metric):
    """Number of items, such as examples or tokens, processed per second in the epoch so far.

    With several ranks it is the sum over ranks. It is computed in each iteration unless `attach` gets another event,
    and each time costs a collective then.

    `output_transform` returns the number of items of one iteration. ``engine.state.metrics`` holds the value rounded
    down to an integer; `compute` returns a float. See `Metric` for the arguments.

    ``Frequency(output_transform=lambda output: output["tokens"]).attach(trainer, "tokens/s")``

    Example:
        >>> trainer = Engine(lambda engine, batch: len(batch))
        >>> _ = Frequency(output_transform=lambda items: items).attach(trainer, "items/s")
        >>> trainer.run([[1, 2], [3, 4]]).metrics["items/s"] > 0
        True
    """

    _state_dict_all_req_keys = ("_sum", "_seconds")
    state_reductions: ClassVar[Reductions | None] = {}  # see `_merged`

    def reset(self) -> None:
        """Set the number of items and the clock to zero."""
        self._sum: Any = 0
        self._since = running_time()
        self._seconds = 0.0

    def update(self, output: Any) -> None:
        """Add `output`, a number of items."""
        self._sum += output
        self._seconds = running_time() - self._since

    def compute(self) -> float:
        """Return the number of items per second between `reset` and the last update.

        Raises:
            NotComputableError: `update` was not called.
        """
        if not self._seconds:
            raise NotComputableError("Frequency must have at least one update before it can be computed.")
        return float(self._sum / self._seconds)

    def completed(self, engine: Engine, name: str) -> None:
        """Store the frequency in ``engine.state.metrics[name]``, rounded down to an integer."""
        engine.state.metrics[name] = int(self._over_ranks_at(engine, name).compute())

    def _rank_state(self) -> Any:
        return float(self._sum / self._seconds) if self._seconds else None

    def _merged(self, states: list[Any]) -> Frequency:
        merged = copy(self)
        known = [state for state in states if state is not None]
        merged._sum, merged._seconds = sum(known), float(bool(known))
        return merged

    def attach(  # type: ignore[override]  # takes the event that computes the metric, not a usage
        self, engine: Engine, name: str, event_name: CallableEventWithFilter = Events.ITERATION_COMPLETED
    ) -> None:
        """Let `engine` compute the frequency of the epoch so far at an event, as ``engine.state.metrics[name]``."""
        super().attach(engine, name, _usage_until(event_name))

    def detach(  # type: ignore[override]
        self, engine: Engine, event_name: CallableEventWithFilter = Events.ITERATION_COMPLETED
    ) -> None:
        """Undo `attach` with this event for all names. Do nothing if the metric is not attached with it."""
        super().detach(engine, _usage_until(event_name))

    def is_attached(  # type: ignore[override]
        self, engine: Engine, event_name: CallableEventWithFilter = Events.ITERATION_COMPLETED
    ) -> bool:
        """Return True if `engine` computes the frequency at this event."""
        return super().is_attached(engine, _usage_until(event_name))

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the data that `state_dict` returned; the clock continues from the last update.

        Raises:
            TypeError: `state_dict` is not a mapping.
            ValueError: `state_dict` belongs to another metric. This metric stays unchanged.
        """
        super().load_state_dict(state_dict)
        self._since = running_time() - self._seconds


def _usage_until(event: CallableEventWithFilter) -> MetricUsage:
    return MetricUsage(Events.EPOCH_STARTED, event, Events.ITERATION_COMPLETED)
