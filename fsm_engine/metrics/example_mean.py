"""`ExampleMean`: base class of metrics that are the mean of a value that each example has."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch

from fsm_engine.metrics.pair_metric import PairMetric


class ExampleMean(PairMetric):
    """Base class of metrics of (y_pred, y) whose value is a mean over examples.

    A subclass defines `_values`. No update makes the host wait for the device, unless `device` differs from the device
    of the data. See `PairMetric` for the arguments.
    """

    @abstractmethod
    def _values(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the value of each example: a tensor of shape (examples,), or (examples, values) for several.

        Raises:
            ValueError: the shapes do not match.
            TypeError: the dtypes do not match.
        """

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or as a mapping with these keys.

        Raises:
            ValueError: the shapes do not match.
            TypeError: the dtypes do not match, or `output` is neither a pair nor such a mapping.
        """
        y_pred, y = self._pair(output)
        values = self._values(y_pred.detach(), y.detach())
        if len(values):
            mean = self._accumulator_on(values.device)
            mean.update(values.to(mean.device, mean.dtype).mean(0), len(values))


class ExampleSum(ExampleMean):
    """Base class of metrics whose value is the sum of a value that each example has."""

    def _value(self, accumulator: Any) -> float:
        return float(accumulator.total)


def check_same_shape(y_pred: torch.Tensor, y: torch.Tensor) -> None:
    """Raise ValueError if the shapes differ."""
    if y_pred.shape != y.shape:
        raise ValueError(f"y_pred and y must be in the same shape, got {tuple(y_pred.shape)} != {tuple(y.shape)}.")


def check_same_dtype(y_pred: torch.Tensor, y: torch.Tensor) -> None:
    """Raise TypeError if the dtypes differ."""
    if y_pred.dtype != y.dtype:
        raise TypeError(f"y_pred and y must have the same data type, got {y_pred.dtype} and {y.dtype}.")
