"""`PairMetric`: what the metrics of this package have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine.metrics.classification import Kind, changed
from fsm_engine.metrics.metric import Metric, NotComputableError, OutputTransform, check_state_dict, unchanged
from fsm_engine.metrics.torchmetrics_state import into_torchmetrics, of_torchmetrics

if TYPE_CHECKING:
    import torchmetrics


class PairMetric(Metric):
    """A metric of (y_pred, y) that a metric of torchmetrics computes.

    Args:
        output_transform: turns ``engine.state.output`` into (y_pred, y), or a mapping with these keys.
        device: where it computes; None means where the data is.
        skip_unrolling: whether lists of tensors are given to `update` as they are, and not pair by pair.

    Raises:
        ModuleNotFoundError: if torchmetrics is not installed.
        TypeError: for an `output_transform` that cannot be called.
    """

    def __init__(
        self,
        output_transform: OutputTransform = unchanged,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        _need_torchmetrics(type(self).__name__)
        super().__init__(output_transform, device, skip_unrolling)

    def reset(self) -> None:
        """Forget all data, and what kind it was of."""
        self._counter: torchmetrics.Metric | None = None
        self._kind: Kind | None = None
        self._astray = False  # whether the counter was loaded, and has not seen where the data is

    @abstractmethod
    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or a mapping with these keys."""

    def compute(self) -> Any:
        """Return the value over all batches since `reset`; the host waits for the device.

        Raises:
            NotComputableError: if there was no batch, or none that was not empty.
        """
        if self._counter is None:
            raise NotComputableError(
                f"{type(self).__name__} must have at least one example before it can be computed. "
                f"Call update() first, or attach it to an engine whose data is not empty."
            )
        return self._value(self._counter)

    def state_dict(self) -> dict[str, Any]:
        """Return what has been counted since `reset`, and the kind of data."""
        counted = None if self._counter is None else of_torchmetrics(self._counter)
        return {"kind": None if self._kind is None else list(self._kind), "counted": counted}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, on the device of the next batch.

        Raises:
            TypeError: if it is no mapping.
            ValueError: if it was that of another metric; nothing is changed then.
        """
        check_state_dict(self, state_dict, ["kind", "counted"])
        kind = None if state_dict["kind"] is None else Kind(*state_dict["kind"])
        counter = None
        if state_dict["counted"] is not None:
            counter = self._placed(self._new_counter(kind), torch.device("cpu"))
            into_torchmetrics(counter, state_dict["counted"])
        self._kind, self._counter, self._astray = kind, counter, True

    @abstractmethod
    def _new_counter(self, kind: Kind | None) -> torchmetrics.Metric:
        """Make what counts data of this kind."""

    def _value(self, counter: torchmetrics.Metric) -> Any:
        return float(counter.compute())

    def _counter_for(self, kind: Kind | None, near: torch.device) -> torchmetrics.Metric:
        if self._counter is None:
            self._kind, self._counter = kind, self._placed(self._new_counter(kind), near)
        elif kind is not None and self._kind is not None and kind != self._kind:
            raise changed(self._kind, kind)
        elif self._astray:
            self._counter = self._placed(self._counter, near)
        self._astray = False
        return self._counter

    def _placed(self, counter: torchmetrics.Metric, near: torch.device) -> torchmetrics.Metric:
        device = torch.device(self.device or near)
        counter.set_dtype(torch.float32 if device.type == "mps" else torch.float64)  # the former has no double
        return counter.to(device)

    def _pair(self, output: Any) -> tuple[Any, Any]:
        if isinstance(output, Mapping) and {"y_pred", "y"} <= output.keys():
            return output["y_pred"], output["y"]
        if isinstance(output, (tuple, list)) and len(output) == 2:
            return output[0], output[1]
        shown = f"the keys {list(output)}" if isinstance(output, Mapping) else type(output).__name__
        raise TypeError(
            f"{type(self).__name__} needs (y_pred, y), or a mapping with the keys 'y_pred' and 'y', but was given "
            f"{shown}. Make that of the output of the engine with output_transform=."
        )


def _need_torchmetrics(who: str) -> None:
    # Here and not at the first batch, because it takes seconds the first time.
    try:
        import torchmetrics.classification  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'{who} needs torchmetrics, but: {error}. Install it with: pip install "fsm-engine[metrics]"'
        ) from error
