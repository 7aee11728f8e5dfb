"""`PearsonCorrelation`, `SpearmanRankCorrelation` and `KendallRankCorrelation` of predictions and targets."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import torch

from fsm_engine._util.extras import import_extra
from fsm_engine._util.identity import identity
from fsm_engine.metrics.epoch_metric import EpochMetric
from fsm_engine.metrics.metric import OutputTransform


class _Correlation(EpochMetric):
    """Correlation of all predictions with all targets, a float. All batches are kept in memory."""

    def __init__(
        self,
        function: Any,
        output_transform: OutputTransform,
        check_compute_fn: bool,
        device: str | torch.device | None,
        skip_unrolling: bool,
    ) -> None:
        import_extra("scipy.stats", "scikit-learn", f"{type(self).__name__} needs scipy")
        super().__init__(function, output_transform, check_compute_fn, device, skip_unrolling)


class PearsonCorrelation(EpochMetric):
    """Correlation coefficient of Pearson, a float. All batches are kept in memory.

    Args:
        eps: lower bound of the product of the standard deviations.
        output_transform: function from ``engine.state.output`` to (y_pred, y).
        device: device on which batches are kept; None means the device of the data.

    Example:
        >>> metric = PearsonCorrelation()
        >>> metric.update((torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.0, 4.0])))
        >>> round(metric.compute(), 4)
        0.982
    """

    def __init__(
        self,
        eps: float = 1e-8,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__(partial(_pearson, eps), output_transform, False, device)
        self.eps = eps


class SpearmanRankCorrelation(_Correlation):
    """Rank correlation coefficient of Spearman, a float, by scipy. All batches are kept in memory.

    See `EpochMetric` for the arguments.

    Example:
        >>> metric = SpearmanRankCorrelation()
        >>> metric.update((torch.tensor([1.0, 2.0, 4.0, 3.0]), torch.tensor([1.0, 2.0, 3.0, 4.0])))
        >>> round(metric.compute(), 4)
        0.8
    """

    def __init__(
        self,
        output_transform: OutputTransform = identity,
        check_compute_fn: bool = True,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        super().__init__(_spearman, output_transform, check_compute_fn, device, skip_unrolling)


class KendallRankCorrelation(_Correlation):
    """Rank correlation coefficient of Kendall, a float, by scipy. All batches are kept in memory.

    Args:
        variant: "b" or "c"; see `scipy.stats.kendalltau`.
        output_transform: function from ``engine.state.output`` to (y_pred, y).
        check_compute_fn: try the computation on the first batch and warn if it raises.
        device: device on which batches are kept; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Raises:
        ValueError: `variant` is another one.

    Example:
        >>> metric = KendallRankCorrelation()
        >>> metric.update((torch.tensor([1.0, 2.0, 4.0, 3.0]), torch.tensor([1.0, 2.0, 3.0, 4.0])))
        >>> round(metric.compute(), 4)
        0.6667
    """

    def __init__(
        self,
        variant: str = "b",
        output_transform: OutputTransform = identity,
        check_compute_fn: bool = True,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        if variant not in ("b", "c"):
            raise ValueError(f"variant accepts 'b' or 'c', got {variant!r}.")
        super().__init__(partial(_kendall, variant), output_transform, check_compute_fn, device, skip_unrolling)


def _pearson(eps: float, y_pred: torch.Tensor, y: torch.Tensor) -> float:
    one, other = (tensor.flatten().double() - tensor.double().mean() for tensor in (y_pred, y))
    deviations = (one.square().mean() * other.square().mean()).sqrt()
    return float((one * other).mean() / deviations.clamp(min=eps))


def _spearman(y_pred: torch.Tensor, y: torch.Tensor) -> float:
    return _statistic("spearmanr", y_pred, y)


def _kendall(variant: str, y_pred: torch.Tensor, y: torch.Tensor) -> float:
    return _statistic("kendalltau", y_pred, y, variant=variant)


def _statistic(function: str, *tensors: torch.Tensor, **kwargs: Any) -> float:
    stats = import_module("scipy.stats")
    return float(getattr(stats, function)(*(tensor.flatten().cpu().numpy() for tensor in tensors), **kwargs).statistic)
