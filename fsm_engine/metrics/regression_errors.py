"""Errors of regression: means, sums and medians of a function of prediction and target.

y_pred and y are floating-point tensors of shape (batch,) or (batch, 1).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine._util.identity import identity
from fsm_engine.metrics.epoch_metric import EpochMetric
from fsm_engine.metrics.example_mean import ExampleMean, ExampleSum, check_same_shape
from fsm_engine.metrics.metric import NotComputableError, OutputTransform
from fsm_engine.metrics.pair_metric import PairMetric

if TYPE_CHECKING:
    import torchmetrics


class _DifferenceMean(ExampleMean):
    """Mean of `_error`; subclasses also inherit from `ExampleSum` for a sum."""

    def _values(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self._error(*_flat_pair(y_pred, y))

    def _without_zeros(self, y: torch.Tensor) -> torch.Tensor:
        self._require(y != 0, "The ground truth has 0, by which this error would divide.", NotComputableError)
        return y

    @abstractmethod
    def _error(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the error of each example."""


def _flat_pair(y_pred: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    for name, tensor in (("y_pred", y_pred), ("y", y)):
        if tensor.ndim != 1 and (tensor.ndim != 2 or tensor.shape[1] != 1):
            raise ValueError(f"Input {name} should have shape (N,) or (N, 1), but given {tuple(tensor.shape)}.")
        if tensor.dtype not in (torch.float16, torch.float32, torch.float64):
            raise TypeError(f"Input {name} dtype should be float 16, 32 or 64, but given {tensor.dtype}.")
    check_same_shape(y_pred, y)
    return y_pred.flatten(), y.flatten()


class CanberraMetric(ExampleSum, _DifferenceMean):
    """Sum of ``abs(y - y_pred) / (abs(y) + abs(y_pred))``, a float. See `PairMetric` for the arguments."""

    def _error(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (y - y_pred).abs() / (y_pred.abs() + y.abs() + 1e-15)


class FractionalAbsoluteError(_DifferenceMean):
    """Mean of ``2 * abs(y - y_pred) / (abs(y) + abs(y_pred))``, a float. See `PairMetric` for the arguments."""

    def _error(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return 2 * (y - y_pred).abs() / (y_pred.abs() + y.abs())


class FractionalBias(_DifferenceMean):
    """Mean of ``2 * (y - y_pred) / (y + y_pred)``, a float. See `PairMetric` for the arguments."""

    def _error(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return 2 * (y - y_pred) / (y_pred + y + 1e-30)


class GeometricMeanAbsoluteError(_DifferenceMean):
    """Geometric mean of ``abs(y - y_pred)``, a float. See `PairMetric` for the arguments."""

    def _error(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (y - y_pred).abs().log()

    def _value(self, accumulator: torchmetrics.Metric) -> float:
        return float(accumulator.compute().exp())


class ManhattanDistance(ExampleSum, _DifferenceMean):
    """Sum of ``abs(y - y_pred)``, a float. See `PairMetric` for the arguments."""

    def _error(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (y - y_pred).abs()


class MeanAbsoluteRelativeError(_DifferenceMean):
    """Mean of ``abs(y - y_pred) / abs(y)``, a float. See `PairMetric` for the arguments.

    `update` raises NotComputableError if y has a 0; for data on a device, `compute` does.
    """

    def _error(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (y - y_pred).abs() / self._without_zeros(y).abs()


class MeanError(_DifferenceMean):
    """Mean of ``y - y_pred``, a float. See `PairMetric` for the arguments."""

    def _error(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return y - y_pred


class MeanNormalizedBias(_DifferenceMean):
    """Mean of ``(y - y_pred) / y``, a float. See `PairMetric` for the arguments.

    `update` raises NotComputableError if y has a 0; for data on a device, `compute` does.
    """

    def _error(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (y - y_pred) / self._without_zeros(y)


class WaveHedgesDistance(ExampleSum, _DifferenceMean):
    """Sum of ``abs(y - y_pred) / max(y, y_pred)``, a float. See `PairMetric` for the arguments."""

    def _error(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (y - y_pred).abs() / (torch.maximum(y_pred, y) + 1e-30)


class MaximumAbsoluteError(PairMetric):
    """Largest ``abs(y - y_pred)``, a float. See `PairMetric` for the arguments."""

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or as a mapping with these keys."""
        y_pred, y = _flat_pair(*self._pair(output))
        if y.numel():
            accumulator = self._accumulator_on(y.device)
            accumulator.update((y - y_pred).abs().detach().to(accumulator.device))

    def _new_accumulator(self) -> torchmetrics.Metric:
        from fsm_engine.metrics.weighted_mean import Maximum

        return Maximum()


class R2Score(PairMetric):
    """Coefficient of determination, a float; see `sklearn.metrics.r2_score`. See `PairMetric` for the arguments."""

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or as a mapping with these keys."""
        y_pred, y = _flat_pair(*self._pair(output))
        if y.numel():
            accumulator = self._accumulator_on(y.device)
            accumulator.update(*(tensor.detach().to(accumulator.device, accumulator.dtype) for tensor in (y_pred, y)))

    def _new_accumulator(self) -> torchmetrics.Metric:
        from torchmetrics import R2Score as TorchR2Score

        return TorchR2Score()


class _OfAll(EpochMetric):
    """Base class of errors that need all examples at once."""

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y)."""
        super().update(_flat_pair(*output))


class GeometricMeanRelativeAbsoluteError(_OfAll):
    """Geometric mean of ``abs(y - y_pred) / abs(y - mean(y))``, a float. All batches are kept in memory.

    See `Metric` for the arguments.
    """

    def __init__(
        self,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        super().__init__(_geometric_mean_relative_error, output_transform, False, device, skip_unrolling)


class MedianAbsoluteError(EpochMetric):
    """Median of ``abs(y - y_pred)``, a float. All batches are kept in memory. See `Metric` for the arguments."""

    def __init__(self, output_transform: OutputTransform = identity, device: str | torch.device | None = None) -> None:
        super().__init__(median_absolute_error_compute_fn, output_transform, False, device)


class MedianAbsolutePercentageError(EpochMetric):
    """Median of ``100 * abs(y - y_pred) / abs(y)``, a float. All batches are kept in memory.

    See `Metric` for the arguments.
    """

    def __init__(self, output_transform: OutputTransform = identity, device: str | torch.device | None = None) -> None:
        super().__init__(median_absolute_percentage_error_compute_fn, output_transform, False, device)


class MedianRelativeAbsoluteError(EpochMetric):
    """Median of ``abs(y - y_pred) / abs(y - mean(y))``, a float. All batches are kept in memory.

    See `Metric` for the arguments.
    """

    def __init__(self, output_transform: OutputTransform = identity, device: str | torch.device | None = None) -> None:
        super().__init__(median_relative_absolute_error_compute_fn, output_transform, False, device)


def _relative(y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (y.view_as(y_pred) - y_pred).abs() / (y.view_as(y_pred) - y.mean()).abs()


def _geometric_mean_relative_error(y_pred: torch.Tensor, y: torch.Tensor) -> float:
    return float(_relative(y_pred, y).log().mean().exp())


def median_absolute_error_compute_fn(y_pred: torch.Tensor, y: torch.Tensor) -> float:
    """Return the median of ``abs(y - y_pred)``."""
    return _median((y.view_as(y_pred) - y_pred).abs())


def median_absolute_percentage_error_compute_fn(y_pred: torch.Tensor, y: torch.Tensor) -> float:
    """Return the median of ``100 * abs(y - y_pred) / abs(y)``."""
    y = y.view_as(y_pred)
    return 100.0 * _median((y - y_pred).abs() / y.abs())


def median_relative_absolute_error_compute_fn(y_pred: torch.Tensor, y: torch.Tensor) -> float:
    """Return the median of ``abs(y - y_pred) / abs(y - mean(y))``."""
    return _median(_relative(y_pred, y))


def _median(values: torch.Tensor) -> float:
    ordered = values.flatten().sort().values
    middle = len(ordered) // 2
    return float(ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2)
