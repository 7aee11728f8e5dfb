"""`ConfusionMatrix`: counts of predicted classes for each true class, and metrics that are functions of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from fsm_engine._util.identity import identity
from fsm_engine.metrics.metric import OutputTransform
from fsm_engine.metrics.metrics_lambda import MetricsLambda
from fsm_engine.metrics.pair_metric import PairMetric
from fsm_engine.metrics.rank_states import Reductions

if TYPE_CHECKING:
    import torchmetrics

_AVERAGES = ("samples", "recall", "precision")


class ConfusionMatrix(PairMetric):
    """Confusion matrix of multiclass data, a tensor of shape (classes, classes).

    Rows are true classes and columns are predicted classes, as in scikit-learn.

    y_pred (batch, classes, ...) holds scores, of which the highest wins; y (batch, ...) holds class indices. Positions
    where y is outside the range of classes, such as -100, are ignored.

    Args:
        num_classes: number of classes.
        average: normalization of the counts:

            - None: none, integers;
            - ``"samples"``: division by the number of examples in all batches;
            - ``"recall"``: division of each row by its sum, so the diagonal holds the recall of each class;
            - ``"precision"``: division of each column by its sum, so the diagonal holds the precision of each class.
        output_transform: function from ``engine.state.output`` to (y_pred, y), or to a mapping with these keys.
        device: device of the accumulator; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Raises:
        ValueError: `average` is none of these, or `num_classes` is less than 2.
        ModuleNotFoundError: torchmetrics is not installed.
        TypeError: `output_transform` is not callable.

    Example:
        >>> matrix = ConfusionMatrix(num_classes=2)
        >>> matrix.update((torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]), torch.tensor([0, 0, 1])))
        >>> matrix.compute()
        tensor([[1, 1],
                [0, 1]])
    """

    _state_dict_all_req_keys = ("_examples",)
    state_reductions: ClassVar[Reductions | None] = {"_examples": "sum"}

    def __init__(
        self,
        num_classes: int,
        average: str | None = None,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        skip_unrolling: bool = True,
    ) -> None:
        if average is not None and average not in _AVERAGES:
            raise ValueError(f"Argument average can be None or one of {', '.join(_AVERAGES)}, but is {average!r}.")
        if num_classes <= 1:
            raise ValueError(f"Argument num_classes needs to be > 1, but is {num_classes!r}.")
        super().__init__(output_transform, device, skip_unrolling)
        self.num_classes = num_classes
        self.average = average

    def reset(self) -> None:
        """Discard all data."""
        super().reset()
        self._examples = 0

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or as a mapping with these keys.

        Raises:
            ValueError: the shapes do not match each other or the number of classes.
            TypeError: `output` is neither a pair nor such a mapping.
        """
        y_pred, y = self._pair(output)
        shape, classes = tuple(y_pred.shape), self.num_classes
        if len(shape) < 2 or shape[1] != classes or shape[:1] + shape[2:] != tuple(y.shape):
            raise ValueError(
                f"y_pred must have shape (batch_size, num_classes (currently set to {classes}), ...) and y must have "
                f"shape of (batch_size, ...), but given {shape} and {tuple(y.shape)}."
            )
        self._examples += len(y)
        if y.numel():
            accumulator = self._accumulator_on(y.device)
            known = torch.where((y >= 0) & (y < classes), y, classes)  # one extra class collects the ignored positions
            accumulator.update(y_pred.detach().argmax(1).to(accumulator.device), known.long().to(accumulator.device))

    def _new_accumulator(self) -> torchmetrics.Metric:
        from fsm_engine.metrics.class_counts import ConfusionCounts

        return ConfusionCounts(self.num_classes + 1)

    def _value(self, accumulator: torchmetrics.Metric) -> torch.Tensor:
        matrix: torch.Tensor = accumulator.compute()[:-1, :-1].long()
        if self.average is None:
            return matrix
        if self.average == "samples":
            return matrix.div(self._examples)
        return self.normalize(matrix.float(), self.average)

    @staticmethod
    def normalize(matrix: torch.Tensor, average: str) -> torch.Tensor:
        """Return `matrix` with each row (``"recall"``) or each column (``"precision"``) divided by its sum.

        Raises:
            ValueError: `average` is neither ``"recall"`` nor ``"precision"``.
        """
        if average not in ("recall", "precision"):
            raise ValueError(f"Argument average should be one of recall, precision, but is {average!r}.")
        return matrix / (matrix.sum(1 if average == "recall" else 0, keepdim=True) + 1e-15)


class MultiLabelConfusionMatrix(PairMetric):
    """Confusion matrix of each label, a tensor of shape (labels, 2, 2): ``[[tn, fp], [fn, tp]]``, as in scikit-learn.

    y_pred and y (batch, labels, ...) hold zeros and ones.

    Args:
        num_classes: number of labels.
        output_transform: function from ``engine.state.output`` to (y_pred, y), or to a mapping with these keys.
        device: device of the accumulator; None means the device of the data.
        normalized: divide each matrix by its sum.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Raises:
        ValueError: `num_classes` is less than 2.
        ModuleNotFoundError: torchmetrics is not installed.

    Example:
        >>> metric = MultiLabelConfusionMatrix(num_classes=2)
        >>> metric.update((torch.tensor([[1, 0], [1, 1]]), torch.tensor([[1, 1], [0, 1]])))
        >>> metric.compute().tolist()
        [[[0, 1], [0, 1]], [[0, 0], [1, 1]]]
    """

    def __init__(
        self,
        num_classes: int,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        normalized: bool = False,
        skip_unrolling: bool = False,
    ) -> None:
        if num_classes <= 1:
            raise ValueError(f"Argument num_classes needs to be > 1, but is {num_classes!r}.")
        super().__init__(output_transform, device, skip_unrolling)
        self.num_classes = num_classes
        self.normalized = normalized

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or as a mapping with these keys.

        Raises:
            ValueError: the shapes do not match each other or the number of labels, or a tensor has floats or other
                values than 0 and 1.
            TypeError: `output` is neither a pair nor such a mapping.
        """
        y_pred, y = self._pair(output)
        if y_pred.shape != y.shape or y.ndim < 2 or y.shape[1] != self.num_classes:
            raise ValueError(
                f"y_pred and y must have the same shape (batch_size, num_classes (currently set to "
                f"{self.num_classes}), ...), but given {tuple(y_pred.shape)} and {tuple(y.shape)}."
            )
        for name, tensor in (("y_pred", y_pred), ("y", y)):
            message = f"{name} must be a tensor of integers 0 and 1. Round it with output_transform=."
            if tensor.is_floating_point():
                raise ValueError(message)
            self._require((tensor == 0) | (tensor == 1), message)
        if y.numel():
            accumulator = self._accumulator_on(y.device)
            accumulator.update(y_pred.detach().long().to(accumulator.device), y.long().to(accumulator.device))

    def _new_accumulator(self) -> torchmetrics.Metric:
        from fsm_engine.metrics.class_counts import LabelConfusionCounts

        return LabelConfusionCounts(self.num_classes)

    def _value(self, accumulator: torchmetrics.Metric) -> torch.Tensor:
        matrices: torch.Tensor = accumulator.compute().long()
        return matrices / matrices.sum((1, 2), keepdim=True).to(self._double_dtype) if self.normalized else matrices


# Functions of a confusion matrix. They have pytorch-ignite's names and return metrics.


def _of_counts(cm: ConfusionMatrix, function: Callable[[torch.Tensor], Any]) -> MetricsLambda:
    """Return a metric that is `function` of the counts in double precision."""
    if not isinstance(cm, ConfusionMatrix):
        raise TypeError(f"Argument cm should be instance of ConfusionMatrix, but given {cm!r}.")
    if cm.average not in (None, "samples"):
        raise ValueError(f"ConfusionMatrix should have average attribute either None or 'samples', got {cm.average!r}.")
    return MetricsLambda(partial(_of_doubles, function), cm)


def _of_doubles(function: Callable[[torch.Tensor], Any], counts: torch.Tensor) -> Any:
    return function(counts.cpu().double())


def _ratio(part: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    return part / (whole + 1e-15)


def _without(cm: ConfusionMatrix, ignored: int | None, metric: MetricsLambda) -> MetricsLambda:
    """Return `metric`, a vector with one value per class, without the value of a class."""
    if ignored is None:
        return metric
    if not (isinstance(ignored, int) and 0 <= ignored < cm.num_classes):
        raise ValueError(f"ignore_index should be an integer in [0, {cm.num_classes}), but given {ignored!r}.")
    return MetricsLambda(partial(_drop, ignored), metric)


def _drop(ignored: int, values: torch.Tensor) -> torch.Tensor:
    return torch.cat([values[:ignored], values[ignored + 1 :]])


def IoU(cm: ConfusionMatrix, ignore_index: int | None = None) -> MetricsLambda:  # noqa: N802
    """Return the intersection over union of each class, a metric whose value is a tensor.

    Args:
        cm: confusion matrix without normalization by rows or columns.
        ignore_index: class to leave out of the result.

    Raises:
        TypeError: `cm` is not a `ConfusionMatrix`.
        ValueError: `cm` is normalized by rows or columns, or there is no such class.

    Example:
        >>> iou = IoU(ConfusionMatrix(num_classes=2))
        >>> iou.update((torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]), torch.tensor([0, 0, 1])))
        >>> iou.compute()
        tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    return _without(cm, ignore_index, _of_counts(cm, _intersection_over_union))


def _intersection_over_union(counts: torch.Tensor) -> torch.Tensor:
    return _ratio(counts.diag(), counts.sum(0) + counts.sum(1) - counts.diag())


JaccardIndex = IoU


def mIoU(cm: ConfusionMatrix, ignore_index: int | None = None) -> MetricsLambda:  # noqa: N802
    """Return the mean of `IoU` over classes, a metric.

    Example:
        >>> counts = ConfusionMatrix(num_classes=2)
        >>> metric = mIoU(counts)
        >>> counts.update((torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), torch.tensor([0, 1, 1])))
        >>> round(metric.compute().item(), 4)
        0.5
    """
    return MetricsLambda(torch.mean, IoU(cm, ignore_index))


def DiceCoefficient(cm: ConfusionMatrix, ignore_index: int | None = None) -> MetricsLambda:  # noqa: N802
    """Return the Dice coefficient of each class, a metric whose value is a tensor. See `IoU` for the arguments.

    Example:
        >>> counts = ConfusionMatrix(num_classes=2)
        >>> metric = DiceCoefficient(counts)
        >>> counts.update((torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), torch.tensor([0, 1, 1])))
        >>> [round(value, 4) for value in metric.compute().tolist()]
        [0.6667, 0.6667]
    """
    return _without(cm, ignore_index, _of_counts(cm, _dice))


def _dice(counts: torch.Tensor) -> torch.Tensor:
    return _ratio(2 * counts.diag(), counts.sum(0) + counts.sum(1))


def cmAccuracy(cm: ConfusionMatrix) -> MetricsLambda:  # noqa: N802
    """Return the accuracy, a metric."""
    return _of_counts(cm, _accuracy)


def _accuracy(counts: torch.Tensor) -> torch.Tensor:
    return _ratio(counts.diag().sum(), counts.sum())


def cmPrecision(cm: ConfusionMatrix, average: bool = True) -> MetricsLambda:  # noqa: N802
    """Return the precision of each class, a metric; its mean over classes if `average` is true."""
    metric = _of_counts(cm, partial(_diagonal_share, 0))
    return MetricsLambda(torch.mean, metric) if average else metric


def cmRecall(cm: ConfusionMatrix, average: bool = True) -> MetricsLambda:  # noqa: N802
    """Return the recall of each class, a metric; its mean over classes if `average` is true."""
    metric = _of_counts(cm, partial(_diagonal_share, 1))
    return MetricsLambda(torch.mean, metric) if average else metric


def _diagonal_share(dim: int, counts: torch.Tensor) -> torch.Tensor:
    return _ratio(counts.diag(), counts.sum(dim))
