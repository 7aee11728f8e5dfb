"""`MeanSquaredError`, `RootMeanSquaredError` and `MeanAbsoluteError`."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from fsm_engine.metrics.pair_metric import PairMetric

if TYPE_CHECKING:
    import torch
    import torchmetrics


class _MeanError(PairMetric):
    """Sum of an elementwise error over all elements, divided by the number of examples."""

    @abstractmethod
    def _elementwise(self, difference: torch.Tensor) -> torch.Tensor:
        """Return the error of each element."""

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or as a mapping with these keys; y is viewed in the shape of y_pred.

        Raises:
            RuntimeError: y and y_pred have different numbers of elements.
            TypeError: `output` is neither a pair nor such a mapping.
        """
        y_pred, y = self._pair(output)
        examples = y.shape[0]
        y_pred, y = y_pred.detach(), y.detach().view_as(y_pred)
        if y.numel():
            mean = self._accumulator_on(y.device)
            if not y_pred.is_floating_point():
                y_pred = y_pred.to(mean.dtype)  # differences of uint8 would wrap around
            error = self._elementwise(y_pred - y).sum()
            mean.update((error / examples).to(mean.device), examples)


class MeanSquaredError(_MeanError):
    """Mean squared error, a float: the sum of (y_pred - y)² over all elements, divided by the number of examples.

    With outputs of n numbers per example this is n times the mean over elements, as in pytorch-ignite. No update makes
    the host wait for the device, unless `device` differs from the device of the data. See `PairMetric` for the
    arguments.

    Example:
        >>> error = MeanSquaredError()
        >>> error.update((torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 2.0], [3.0, 6.0]])))
        >>> error.compute()
        2.0
    """

    def _elementwise(self, difference: torch.Tensor) -> torch.Tensor:
        return difference.square()


class RootMeanSquaredError(MeanSquaredError):
    """Square root of `MeanSquaredError`, a float.

    Example:
        >>> error = RootMeanSquaredError()
        >>> error.update((torch.tensor([1.0, 2.0]), torch.tensor([4.0, 5.0])))
        >>> error.compute()
        3.0
    """

    def _value(self, accumulator: torchmetrics.Metric) -> float:
        return math.sqrt(super()._value(accumulator))


class MeanAbsoluteError(_MeanError):
    """Mean absolute error, a float: the sum of abs(y_pred - y) over all elements, divided by the number of examples.

    With outputs of n numbers per example this is n times the mean over elements, as in pytorch-ignite. No update makes
    the host wait for the device, unless `device` differs from the device of the data. See `PairMetric` for the
    arguments.

    Example:
        >>> error = MeanAbsoluteError()
        >>> error.update((torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0])))
        >>> error.compute()
        1.5
    """

    def _elementwise(self, difference: torch.Tensor) -> torch.Tensor:
        return difference.abs()
