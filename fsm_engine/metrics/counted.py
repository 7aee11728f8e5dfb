"""`Counted`: what the metrics of this package have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine.metrics.metric import Metric, NotComputableError, OutputTransform, unchanged

if TYPE_CHECKING:
    import torchmetrics


class Counted(Metric):
    """A metric of (y_pred, y) that a metric of torchmetrics computes.

    Args:
        output_transform: turns ``engine.state.output`` into (y_pred, y), or a mapping with these keys.
        device: where it computes; None means where the data is.

    Raises:
        ModuleNotFoundError: if torchmetrics is not installed.
    """

    def __init__(self, output_transform: OutputTransform = unchanged, device: str | torch.device | None = None) -> None:
        _need_torchmetrics(type(self).__name__)
        super().__init__(output_transform, device)

    def reset(self) -> None:
        """Forget all data, and what kind it was of."""
        self._counter: torchmetrics.Metric | None = None

    @abstractmethod
    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or a mapping with these keys."""

    def compute(self) -> float:
        """Return the value over all batches since `reset`; the host waits for the device.

        Raises:
            NotComputableError: if there was no batch, or none that was not empty.
        """
        if self._counter is None:
            raise NotComputableError(
                f"{type(self).__name__} must have at least one example before it can be computed. "
                f"Call update() first, or attach it to an engine whose data is not empty."
            )
        return float(self._counter.compute())

    def _placed(self, counter: torchmetrics.Metric, near: torch.device) -> torchmetrics.Metric:
        device = torch.device(self.device or near)
        if device.type != "mps":  # which has no double precision
            counter.set_dtype(torch.float64)
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
