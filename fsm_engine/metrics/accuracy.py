"""`Accuracy`: fraction of correct predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsm_engine.metrics.classification import ClassificationMetric

if TYPE_CHECKING:
    import torchmetrics


class Accuracy(ClassificationMetric):
    """Fraction of correct predictions, a float.

    - binary: a prediction is correct if it equals the target;
    - multiclass: a prediction is correct if the class with the highest score is the target;
    - multilabel: a prediction is correct if all labels are (subset accuracy).

    `ClassificationMetric` lists the shapes of y_pred and y for each task. With further dimensions, such as pixels, each
    position counts as one prediction.

    Binary and multilabel data must consist of zeros and ones: `update` checks data on the CPU, `compute` data on a
    device. No update makes the host wait for the device, unless `device` differs from the device of the data.

    Args:
        output_transform: function from ``engine.state.output`` to (y_pred, y), or to a mapping with these keys.
        is_multilabel: read the data as multilabel.
        device: device of the accumulator; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Raises:
        ModuleNotFoundError: torchmetrics is not installed.
        TypeError: `output_transform` is not callable.

    Example:
        >>> accuracy = Accuracy()
        >>> y_pred = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
        >>> accuracy.update((y_pred, torch.tensor([0, 1, 1, 1])))
        >>> accuracy.compute()
        0.75
    """

    def _new_accumulator(self) -> torchmetrics.Metric:
        from torchmetrics.classification import BinaryAccuracy, MulticlassAccuracy, MultilabelExactMatch

        # `update` has validated the shapes. torchmetrics would validate the values, and make the host wait for that.
        if self._task == "multiclass":
            return MulticlassAccuracy(self._classes, average="micro", validate_args=False)
        if self._task == "multilabel":
            return MultilabelExactMatch(self._classes, validate_args=False)
        return BinaryAccuracy(validate_args=False)
