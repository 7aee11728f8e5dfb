"""`Precision` and `Recall`."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine._util.identity import identity
from fsm_engine.metrics.classification import ClassificationMetric
from fsm_engine.metrics.metric import OutputTransform

if TYPE_CHECKING:
    import torchmetrics

_AVERAGES = ("macro", "micro", "weighted", "samples")
_EPSILON = 1e-20


class _PrecisionRecall(ClassificationMetric):
    """True positives divided by the predicted positives (precision) or by the actual positives (recall).

    The accumulator counts (true positives, false positives, true negatives, false negatives, support) for each class;
    with ``average="samples"`` it is the mean of the rates of the examples.
    """

    def __init__(
        self,
        output_transform: OutputTransform = identity,
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
        super().__init__(output_transform, is_multilabel, device, skip_unrolling)
        self.average = "macro" if average is True else average

    @abstractmethod
    def _denominator(self, counts: torch.Tensor) -> torch.Tensor:
        """Return the predicted or actual positives. `counts` has the shape (..., 5): tp, fp, tn, fn, support."""

    def _check(self, task: str, classes: int, y: torch.Tensor) -> None:
        if self.average == "samples" and task != "multilabel":
            raise ValueError(f"Argument average='samples' is incompatible with {task} input data.")
        if task == "multiclass":
            seen = f"y has classes from {int(y.min())} to {int(y.max())}, but " if y.is_cpu and y.numel() else ""
            self._require((y >= 0) & (y < classes), f"{seen}y_pred contains fewer classes than y: {classes}, from 0.")

    def _accumulate(self, accumulator: torchmetrics.Metric, y_pred: torch.Tensor, y: torch.Tensor) -> None:
        y = y.long() if self._task != "multiclass" else y.long().clamp(0, self._classes - 1)  # `_check` notes others
        if self.average != "samples":
            accumulator.update(y_pred, y)
            return
        # torchmetrics has counts per example, too, but they are wrong for a batch of one.
        y_pred, y = _as_rows(y_pred), _as_rows(y)
        hits = y_pred * y
        counts = torch.stack([hits, y_pred - hits, (1 - y_pred) * (1 - y), y - hits, y], -1).sum(1)
        accumulator.update(self._rates(counts.to(accumulator.dtype)).mean(), len(y))

    def _rates(self, counts: torch.Tensor) -> torch.Tensor:
        return counts[..., 0] / (self._denominator(counts) + _EPSILON)

    def _new_accumulator(self) -> torchmetrics.Metric:
        from torchmetrics.classification import BinaryStatScores, MultilabelStatScores

        from fsm_engine.metrics.class_counts import ClassCounts

        # `_check` has validated the values already.
        if self.average == "samples":
            return super()._new_accumulator()
        if self._task == "multilabel":
            return MultilabelStatScores(self._classes, average=None, validate_args=False)
        if self._task == "binary" and self.average is False:
            return BinaryStatScores(validate_args=False)
        return ClassCounts(self._classes)

    def _value(self, accumulator: torchmetrics.Metric) -> Any:
        if self.average == "samples":
            return super()._value(accumulator)
        counts = accumulator.compute()
        if self.average == "micro":
            return float(self._rates(counts.sum(0)))
        rates = self._rates(counts)
        if self.average == "macro":
            return float(rates.mean())
        if self.average == "weighted":
            support = counts[..., 4]
            return float(rates @ support / (support.sum() + _EPSILON))
        return rates


class Precision(_PrecisionRecall):
    """Precision: true positives divided by predicted positives, tp / (tp + fp); 0 without predicted positives.

    `ClassificationMetric` lists the shapes of y_pred and y for each task. The range of multiclass y and the zeros and
    ones of other data are checked by `update` for data on the CPU, by `compute` for data on a device.

    Args:
        output_transform: function from ``engine.state.output`` to (y_pred, y), or to a mapping with these keys.
        average: averaging over classes (or labels), which determines the type of the value:

            - False: no average, a tensor with one value per class; for binary data only the value of class 1;
            - None: no average, a tensor with one value per class; for binary data both classes;
            - ``"macro"`` or True: mean over classes, a float;
            - ``"weighted"``: mean over classes weighted by their frequency in y, a float;
            - ``"micro"``: one value from the counts of all classes together, a float;
            - ``"samples"``: mean over examples, a float; for multilabel data only.
        is_multilabel: read the data as multilabel.
        device: device of the accumulator; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Raises:
        ValueError: `average` is none of these.
        ModuleNotFoundError: torchmetrics is not installed.
        TypeError: `output_transform` is not callable.

    Example:
        >>> precision = Precision()
        >>> precision.update((torch.tensor([1, 1, 0, 1]), torch.tensor([1, 0, 0, 0])))
        >>> round(precision.compute().item(), 3)
        0.333
    """

    def _denominator(self, counts: torch.Tensor) -> torch.Tensor:
        return counts[..., 0] + counts[..., 1]


class Recall(_PrecisionRecall):
    """Recall: true positives divided by actual positives, tp / (tp + fn); 0 without actual positives.

    See `Precision` for the arguments.

    Example:
        >>> recall = Recall()
        >>> recall.update((torch.tensor([1, 1, 0, 1]), torch.tensor([1, 0, 0, 0])))
        >>> recall.compute().item()
        1.0
    """

    def _denominator(self, counts: torch.Tensor) -> torch.Tensor:
        return counts[..., 0] + counts[..., 3]


def _as_rows(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.movedim(1, -1).reshape(-1, tensor.shape[1])
