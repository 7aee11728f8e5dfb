"""`MeanSquaredError`, `RootMeanSquaredError` and `MeanAbsoluteError`."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from fsm_engine.metrics.classification import Kind
from fsm_engine.metrics.pair_metric import PairMetric

if TYPE_CHECKING:
    import torch
    import torchmetrics


class _MeanError(PairMetric):
    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or a mapping with these keys; y takes the shape of y_pred.

        Raises:
            RuntimeError: if y does not have as many numbers as y_pred.
            TypeError: for an output that is no such pair.
        """
        y_pred, y = self._pair(output)
        examples = y.shape[0]
        y_pred, y = y_pred.detach(), y.detach().view_as(y_pred)
        if y.numel():
            mean = self._counter_for(None, y.device)
            errors = self._mean_error(y_pred, y)  # over all numbers
            mean.update((errors * (y.numel() / examples)).to(mean.device), examples)

    @abstractmethod
    def _mean_error(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor: ...

    def _new_counter(self, kind: Kind | None) -> torchmetrics.Metric:  # noqa: ARG002  # numbers are of one kind
        from fsm_engine.metrics.weighted_mean import WeightedMean

        return WeightedMean()


class MeanSquaredError(_MeanError):
    """The squared error per example: the sum over all numbers of y_pred, divided by how many examples there are.

    No update waits for the device.
    """

    def _mean_error(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        from torchmetrics.functional import mean_squared_error

        return mean_squared_error(y_pred, y)


class RootMeanSquaredError(MeanSquaredError):
    """The square root of `MeanSquaredError`."""

    def _value(self, counter: torchmetrics.Metric) -> Any:
        return math.sqrt(super()._value(counter))


class MeanAbsoluteError(_MeanError):
    """The absolute error per example: the sum over all numbers of y_pred, divided by how many examples there are.

    No update waits for the device.
    """

    def _mean_error(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        from torchmetrics.functional import mean_absolute_error

        return mean_absolute_error(y_pred, y)
