"""`Precision`, `Recall`, and `Fbeta`, which is made of both."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine.metrics.classification import Kind, classified
from fsm_engine.metrics.metric import OutputTransform, unchanged
from fsm_engine.metrics.metrics_lambda import MetricsLambda
from fsm_engine.metrics.pair_metric import PairMetric

if TYPE_CHECKING:
    import torchmetrics

_AVERAGES = ("macro", "micro", "weighted", "samples")
_NEVER_ZERO = 1e-20


class _Rate(PairMetric):
    """The share of right predictions among some of them."""

    def __init__(
        self,
        output_transform: OutputTransform = unchanged,
        average: bool | str | None = False,
        is_multilabel: bool = False,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        if not (average is None or isinstance(average, bool) or average in _AVERAGES):
            raise ValueError(
                f"Argument average should be None or a boolean or one of values {', '.join(_AVERAGES)}, but is "
                f"{average!r}."
            )
        super().__init__(output_transform, device, skip_unrolling)
        self.average = "macro" if average is True else average
        self._is_multilabel = is_multilabel

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or a mapping with these keys.

        Raises:
            ValueError: for shapes that do not fit, for anything but zeros and ones where those are needed, for
                a class in y that y_pred does not have, for another number of classes than before, or for
                ``average="samples"`` if the data is not multilabel.
            RuntimeError: if the kind of data has changed.
            TypeError: for an output that is no such pair.
        """
        kind, y_pred, y = classified(*self._pair(output), self._is_multilabel)
        if self.average == "samples" and kind.name != "multilabel":
            raise ValueError(f"Argument average='samples' is incompatible with {kind.name} input data.")
        if not y.numel():
            return
        if kind.name == "multiclass":
            _check_classes(y, kind.classes)
        counter = self._counter_for(kind, y.device)
        y_pred, y = y_pred.detach().to(counter.device), y.long().to(counter.device)
        if self.average == "samples":
            counter.update(self._mean_of_rows(_rows(y_pred), _rows(y), counter.dtype), _rows(y).shape[0])
        else:
            counter.update(y_pred, y)

    def _mean_of_rows(self, y_pred: torch.Tensor, y: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        # torchmetrics counts by example, too, but goes wrong where there is but one.
        right = y_pred * y
        counts = torch.stack([right, y_pred - right, (1 - y_pred) * (1 - y), y - right, y], -1).sum(1).to(dtype)
        return (counts[..., 0] / (self._among(counts) + _NEVER_ZERO)).mean()

    @abstractmethod
    def _among(self, counts: torch.Tensor) -> torch.Tensor:
        """Return how many predictions the right ones are compared with, given tp, fp, tn, fn, support."""

    def _new_counter(self, kind: Kind | None) -> torchmetrics.Metric:
        from torchmetrics.classification import BinaryStatScores, MulticlassStatScores, MultilabelStatScores

        from fsm_engine.metrics.weighted_mean import WeightedMean

        assert kind is not None
        # What torchmetrics would validate is looked at above.
        if self.average == "samples":
            return WeightedMean()
        if kind.name == "multilabel":
            return MultilabelStatScores(kind.classes, average=None, validate_args=False)
        if kind.name == "binary" and self.average is False:
            return BinaryStatScores(validate_args=False)
        return MulticlassStatScores(kind.classes, average=None, validate_args=False)

    def _value(self, counter: torchmetrics.Metric) -> Any:
        counts = counter.compute()
        if self.average == "samples":
            return float(counts)
        right, among, support = counts[..., 0], self._among(counts), counts[..., 4]
        if self.average == "micro":
            return float(right.sum() / (among.sum() + _NEVER_ZERO))
        rates = right / (among + _NEVER_ZERO)
        if self.average == "macro":
            return float(rates.mean())
        if self.average == "weighted":
            return float(rates @ support / (support.sum() + _NEVER_ZERO))
        return rates


class Precision(_Rate):
    """The share of right predictions among those of a class or label; see `Accuracy` for the kinds of data.

    That y has only classes that y_pred has is looked at, for which the host waits for the device in every update.

    Args:
        output_transform: turns ``engine.state.output`` into (y_pred, y), or a mapping with these keys.
        average: over what there is one value:

            - False: for each class or label, a tensor; binary data has a value for the ones;
            - None: the same, but binary data has one for each of the two classes;
            - ``"macro"`` or True: the mean over classes or labels;
            - ``"weighted"``: the mean weighted by how often each is in y;
            - ``"micro"``: over all classes or labels together;
            - ``"samples"``: the mean over examples; for multilabel data.
        is_multilabel: whether the data is multilabel.
        device: where it computes; None means where the data is.
        skip_unrolling: whether lists of tensors are given to `update` as they are, and not pair by pair.

    Raises:
        ValueError: for another `average`.
        ModuleNotFoundError: if torchmetrics is not installed.
    """

    def _among(self, counts: torch.Tensor) -> torch.Tensor:
        return counts[..., 0] + counts[..., 1]


class Recall(_Rate):
    """The share of those that are predicted right among all of a class or label.

    Takes what `Precision` takes.
    """

    def _among(self, counts: torch.Tensor) -> torch.Tensor:
        return counts[..., 0] + counts[..., 3]


def Fbeta(  # noqa: N802  # it stands for a metric
    beta: float,
    average: bool = True,
    precision: Precision | None = None,
    recall: Recall | None = None,
    output_transform: OutputTransform | None = None,
    device: str | torch.device | None = None,
) -> MetricsLambda:
    """Return the metric F-beta: the harmonic mean of precision and recall, the latter `beta` times as important.

    Args:
        beta: above 0.
        average: whether the value is the mean over classes, a number, and not a tensor with one for each.
        precision: is used if given, and else made; its `average` has to be False.
        recall: the same.
        output_transform: of those that are made, if both are.
        device: of those that are made, if both are; None means where the data is.

    Raises:
        ValueError: for a `beta` that is not above 0, for a precision or recall that has an average, and for
            `output_transform` or `device` beside one.
    """
    if not beta > 0:
        raise ValueError(f"Beta should be a positive number, but is {beta!r}.")
    for name, given in (("precision", precision), ("recall", recall)):
        if given is None:
            continue
        for option, value in (("output_transform", output_transform), ("device", device)):
            if value is not None:
                raise ValueError(f"If {name} argument is provided, {option} should be None: {name} has its own.")
        if given.average:
            raise ValueError(f"Input {name} metric should have average=False, but has {given.average!r}.")
    transform = output_transform or unchanged
    precision = precision or Precision(transform, device=recall.device if recall else device)
    recall = recall or Recall(transform, device=precision.device)
    return MetricsLambda(partial(_fbeta, beta, average), precision, recall)


def _fbeta(beta: float, average: bool, precision: torch.Tensor, recall: torch.Tensor) -> Any:
    weight = beta**2
    values = (1.0 + weight) * precision * recall / (weight * precision + recall + 1e-15)
    return float(values.mean()) if average else values


def _check_classes(y: torch.Tensor, classes: int) -> None:
    if ((y < 0) | (y >= classes)).any():
        raise ValueError(
            f"y has classes from {int(y.min())} to {int(y.max())}, but y_pred contains fewer classes than y: "
            f"{classes}, from 0."
        )


def _rows(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.movedim(1, -1).reshape(-1, tensor.shape[1])
