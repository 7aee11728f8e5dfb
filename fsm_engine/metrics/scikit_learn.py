"""Metrics that scikit-learn computes from all predictions and targets at once.

All batches are kept in memory. y_pred and y have the shape (batch,) or (batch, targets).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import torch

from fsm_engine._util.extras import import_extra
from fsm_engine._util.identity import identity
from fsm_engine.metrics.epoch_metric import EpochMetric
from fsm_engine.metrics.metric import OutputTransform

_NEEDS = "needs scikit-learn"


class _ScikitLearnMetric(EpochMetric):
    """Base class: `_compute` of a subclass is the function of y_pred and y. See `EpochMetric` for the arguments."""

    _compute: Callable[[torch.Tensor, torch.Tensor], Any]

    def __init__(
        self,
        output_transform: OutputTransform = identity,
        check_compute_fn: bool = False,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        import_extra("sklearn.metrics", "scikit-learn", f"{type(self).__name__} {_NEEDS}")
        super().__init__(type(self)._compute, output_transform, check_compute_fn, device, skip_unrolling)


def _call(function: str, *tensors: torch.Tensor, **kwargs: Any) -> Any:
    metrics = import_module("sklearn.metrics")
    return getattr(metrics, function)(*(tensor.cpu().numpy() for tensor in tensors), **kwargs)


def average_precision_compute_fn(y_preds: torch.Tensor, y_targets: torch.Tensor) -> float:
    """Return `sklearn.metrics.average_precision_score`."""
    return float(_call("average_precision_score", y_targets, y_preds))


def roc_auc_compute_fn(y_preds: torch.Tensor, y_targets: torch.Tensor) -> float:
    """Return `sklearn.metrics.roc_auc_score`."""
    return float(_call("roc_auc_score", y_targets, y_preds))


def roc_auc_curve_compute_fn(y_preds: torch.Tensor, y_targets: torch.Tensor) -> tuple[Any, Any, Any]:
    """Return `sklearn.metrics.roc_curve`: false and true positive rates, and thresholds, as arrays."""
    fpr, tpr, thresholds = _call("roc_curve", y_targets, y_preds)
    return fpr, tpr, thresholds


def precision_recall_curve_compute_fn(y_preds: torch.Tensor, y_targets: torch.Tensor) -> tuple[Any, Any, Any]:
    """Return `sklearn.metrics.precision_recall_curve`: precisions, recalls and thresholds, as arrays."""
    precision, recall, thresholds = _call("precision_recall_curve", y_targets, y_preds)
    return precision, recall, thresholds


def matthews_corrcoef_compute_fn(y_preds: torch.Tensor, y_targets: torch.Tensor) -> float:
    """Return `sklearn.metrics.matthews_corrcoef`; scores or one-hot codes become the class with the highest one.

    Raises:
        ValueError: only `y_targets` has two dimensions.
    """
    if y_targets.ndim > y_preds.ndim:
        raise ValueError("y_targets has two dimensions, but y_preds has one. Give both the same form.")
    classes = [tensor.argmax(1) if tensor.ndim == 2 else tensor for tensor in (y_targets, y_preds)]
    return float(_call("matthews_corrcoef", *classes))


def _as_tensors(arrays: Sequence[Any]) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(array.copy()) for array in arrays)


class AveragePrecision(_ScikitLearnMetric):
    """Area under the curve of precision over recall, a float. y_pred holds scores, y zeros and ones.

    See `EpochMetric` for the arguments.

    Example:
        >>> metric = AveragePrecision()
        >>> metric.update((torch.tensor([0.9, 0.4, 0.6, 0.1]), torch.tensor([1, 1, 0, 0])))
        >>> round(metric.compute(), 4)
        0.8333
    """

    _compute = staticmethod(average_precision_compute_fn)


class ROC_AUC(_ScikitLearnMetric):  # noqa: N801  # pytorch-ignite's name
    """Area under the curve of the receiver operating characteristic, a float. y_pred holds scores, y zeros and ones.

    See `EpochMetric` for the arguments.

    Example:
        >>> area = ROC_AUC()
        >>> area.update((torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1])))
        >>> area.compute()
        0.75
    """

    _compute = staticmethod(roc_auc_compute_fn)


class RocCurve(_ScikitLearnMetric):
    """Receiver operating characteristic: false and true positive rates, and thresholds, as tensors.

    See `EpochMetric` for the arguments.

    Example:
        >>> metric = RocCurve()
        >>> metric.update((torch.tensor([0.9, 0.1]), torch.tensor([1, 0])))
        >>> false_positives, true_positives, thresholds = metric.compute()
        >>> false_positives.tolist(), true_positives.tolist()
        ([0.0, 0.0, 1.0], [0.0, 1.0, 1.0])
    """

    _compute = staticmethod(roc_auc_curve_compute_fn)

    def compute(self) -> tuple[torch.Tensor, ...]:
        """Return the false positive rates, the true positive rates and the thresholds."""
        return _as_tensors(super().compute())


class PrecisionRecallCurve(_ScikitLearnMetric):
    """Curve of precision over recall: precisions, recalls and thresholds, as tensors.

    See `EpochMetric` for the arguments.

    Example:
        >>> metric = PrecisionRecallCurve()
        >>> metric.update((torch.tensor([0.9, 0.1]), torch.tensor([1, 0])))
        >>> precision, recall, thresholds = metric.compute()
        >>> precision.tolist(), recall.tolist()
        ([0.5, 1.0, 1.0], [1.0, 1.0, 0.0])
    """

    _compute = staticmethod(precision_recall_curve_compute_fn)

    def compute(self) -> tuple[torch.Tensor, ...]:
        """Return the precisions, the recalls and the thresholds."""
        return _as_tensors(super().compute())


class MatthewsCorrCoef(_ScikitLearnMetric):
    """Correlation coefficient of Matthews, a float. y_pred holds classes, or scores (batch, classes).

    See `EpochMetric` for the arguments.

    Example:
        >>> metric = MatthewsCorrCoef()
        >>> metric.update((torch.tensor([0, 1, 1, 0]), torch.tensor([0, 1, 0, 0])))
        >>> round(metric.compute(), 4)
        0.5774
    """

    _compute = staticmethod(matthews_corrcoef_compute_fn)


class CohenKappa(EpochMetric):
    """Agreement of y_pred and y, both classes, beyond chance: Cohen's kappa, a float.

    Args:
        output_transform: function from ``engine.state.output`` to (y_pred, y).
        weights: None, "linear" or "quadratic"; see `sklearn.metrics.cohen_kappa_score`.
        check_compute_fn: try the computation on the first batch and warn if it raises.
        device: device on which batches are kept; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.
        num_classes: number of classes; None takes the classes that occur.

    Raises:
        ValueError: `weights` is another one.

    Example:
        >>> metric = CohenKappa()
        >>> metric.update((torch.tensor([0, 1, 1, 0]), torch.tensor([0, 1, 0, 0])))
        >>> round(metric.compute(), 4)
        0.5
    """

    def __init__(
        self,
        output_transform: OutputTransform = identity,
        weights: str | None = None,
        check_compute_fn: bool = False,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
        num_classes: int | None = None,
    ) -> None:
        if weights not in (None, "linear", "quadratic"):
            raise ValueError(f"Kappa Weighting type must be None or linear or quadratic, got {weights!r}.")
        import_extra("sklearn.metrics", "scikit-learn", f"{type(self).__name__} {_NEEDS}")
        compute = partial(_cohen_kappa, weights, num_classes)
        super().__init__(compute, output_transform, check_compute_fn, device, skip_unrolling)
        self.weights = weights


def _cohen_kappa(weights: str | None, classes: int | None, y_pred: torch.Tensor, y: torch.Tensor) -> float:
    labels = None if classes is None else list(range(classes))
    return float(_call("cohen_kappa_score", y, y_pred, labels=labels, weights=weights))


class _ClusteringMetric(_ScikitLearnMetric):
    """Base class of scores of clusters: y_pred (batch, features) holds features, y (batch,) cluster labels."""

    def __init__(
        self,
        output_transform: OutputTransform = identity,
        check_compute_fn: bool = True,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        super().__init__(output_transform, check_compute_fn, device, skip_unrolling)


def _score_of_clusters(function: str, features: torch.Tensor, labels: torch.Tensor, **kwargs: Any) -> float:
    if not 1 < len(torch.unique(labels)) < len(labels):
        return float("nan")
    return float(_call(function, features, labels, **kwargs))


class CalinskiHarabaszScore(_ClusteringMetric):
    """Score of Caliński and Harabasz of clusters, a float. y_pred holds features, y cluster labels.

    See `EpochMetric` for the arguments.
    """

    _compute = staticmethod(partial(_score_of_clusters, "calinski_harabasz_score"))


class DaviesBouldinScore(_ClusteringMetric):
    """Score of Davies and Bouldin of clusters, a float. y_pred holds features, y cluster labels.

    See `EpochMetric` for the arguments.
    """

    _compute = staticmethod(partial(_score_of_clusters, "davies_bouldin_score"))


class SilhouetteScore(_ClusteringMetric):
    """Mean silhouette coefficient of clusters, a float. y_pred holds features, y cluster labels.

    See `EpochMetric` for the other arguments.

    Args:
        silhouette_kwargs: arguments of `sklearn.metrics.silhouette_score`.
    """

    _compute = staticmethod(partial(_score_of_clusters, "silhouette_score"))

    def __init__(
        self,
        output_transform: OutputTransform = identity,
        check_compute_fn: bool = True,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
        silhouette_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(output_transform, check_compute_fn, device, skip_unrolling)
        self._compute_fn = partial(self._compute_fn, **(silhouette_kwargs or {}))


class MeanAveragePrecision(EpochMetric):
    """Mean over classes of `AveragePrecision`, a float; a tensor with one value per class for ``class_mean=None``.

    y_pred holds scores: (batch,) for two classes, (batch, classes) otherwise. y holds zeros and ones, class indices, or
    with ``is_multilabel=True`` zeros and ones of shape (batch, classes). Further dimensions count as examples.

    Args:
        rec_thresholds: recalls at which the precision is read; None takes every point of the curve.
        class_mean: "macro", "weighted" (by the examples of a class), "micro" (all classes as one) or None.
        is_multilabel: read y as multilabel.
        output_transform: function from ``engine.state.output`` to (y_pred, y).
        device: device on which batches are kept; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Raises:
        ValueError: `class_mean` is another one, or a threshold is not between 0 and 1.

    Example:
        >>> metric = MeanAveragePrecision()
        >>> metric.update((torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), torch.tensor([0, 1, 1])))
        >>> round(float(metric.compute()), 4)
        1.0
    """

    def __init__(
        self,
        rec_thresholds: Sequence[float] | torch.Tensor | None = None,
        class_mean: str | None = "macro",
        is_multilabel: bool = False,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        if class_mean not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"Wrong class_mean parameter, given {class_mean!r}; it is micro, macro, weighted or None.")
        thresholds = None if rec_thresholds is None else torch.as_tensor(rec_thresholds).double().sort().values
        if thresholds is not None and not ((thresholds >= 0) & (thresholds <= 1)).all():
            raise ValueError(f"rec_thresholds values should be between 0 and 1, given {rec_thresholds}.")
        import_extra("sklearn.metrics", "scikit-learn", f"{type(self).__name__} {_NEEDS}")
        compute = partial(_mean_average_precision, thresholds, class_mean)
        super().__init__(compute, output_transform, False, device, skip_unrolling)
        self._is_multilabel = is_multilabel

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y).

        Raises:
            ValueError: the shapes do not match.
        """
        y_pred, y = output
        if y_pred.ndim == y.ndim + 1 and y_pred.shape[1] > 1:
            y = torch.nn.functional.one_hot(y.long(), y_pred.shape[1]).movedim(-1, 1)
        y_pred, y = y_pred.view_as(y) if y_pred.numel() == y.numel() else y_pred, y
        if y_pred.shape != y.shape:
            raise ValueError(f"y_pred and y do not match: {tuple(y_pred.shape)} and {tuple(y.shape)}.")
        if self._is_multilabel or output[0].ndim == output[1].ndim + 1:
            y_pred, y = (tensor.movedim(1, -1).flatten(0, -2) for tensor in (y_pred, y))
        else:
            y_pred, y = y_pred.flatten(), y.flatten()
        super().update((y_pred, y))


def _mean_average_precision(
    thresholds: torch.Tensor | None, class_mean: str | None, y_pred: torch.Tensor, y: torch.Tensor
) -> Any:
    if y_pred.ndim == 1 or class_mean == "micro":
        return _average_precision(thresholds, y_pred.flatten(), y.flatten())
    classes = [_average_precision(thresholds, *pair) for pair in zip(y_pred.T, y.T)]
    values = torch.tensor(classes, dtype=torch.float64)
    if class_mean is None:
        return values
    weights = y.sum(0).double().cpu() if class_mean == "weighted" else torch.ones(len(values), dtype=torch.float64)
    return float((values * weights).sum() / weights.sum())


def _average_precision(thresholds: torch.Tensor | None, y_pred: torch.Tensor, y: torch.Tensor) -> float:
    if not y.any():
        return 0.0
    if thresholds is None:
        return average_precision_compute_fn(y_pred, y)
    precision, recall = _as_tensors(precision_recall_curve_compute_fn(y_pred, y)[:2])
    precision, recall = precision[:-1].flip(0), recall[:-1].flip(0).contiguous()  # in order of recall
    positions = torch.searchsorted(recall, thresholds)
    reached = torch.cat([precision, torch.zeros(1, dtype=precision.dtype)])[positions]
    steps = thresholds.diff(prepend=torch.zeros(1, dtype=torch.float64))
    return float((steps * reached).sum())
