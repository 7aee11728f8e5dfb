"""`Accuracy`: the share of predictions that are right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsm_engine.metrics.classification import Kind, classified
from fsm_engine.metrics.metric import OutputTransform, unchanged
from fsm_engine.metrics.pair_metric import PairMetric

if TYPE_CHECKING:
    import torch
    import torchmetrics


class Accuracy(PairMetric):
    """The share of predictions that are right, over all examples and positions alike.

    The shapes of the first batch tell the kind of data; later batches have to be of the same kind.

    - multiclass: y_pred (batch, classes, ...) holds scores, of which the highest wins, y (batch, ...) classes;
    - binary: y_pred (batch, ...) or (batch, 1, ...) and y (batch, ...) hold zeros and ones;
    - multilabel, if asked for: y_pred and y (batch, labels, ...) hold zeros and ones, and a prediction is right
      if all of its labels are.

    To see that there are but zeros and ones, the host waits for the device in every update; multiclass does not.

    Args:
        output_transform: turns ``engine.state.output`` into (y_pred, y), or a mapping with these keys.
        is_multilabel: whether the data is multilabel.
        device: where it computes; None means where the data is.
        skip_unrolling: whether lists of tensors are given to `update` as they are, and not pair by pair.

    Raises:
        ModuleNotFoundError: if torchmetrics is not installed.
    """

    def __init__(
        self,
        output_transform: OutputTransform = unchanged,
        is_multilabel: bool = False,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        super().__init__(output_transform, device, skip_unrolling)
        self._is_multilabel = is_multilabel

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or a mapping with these keys.

        Raises:
            ValueError: for shapes that do not fit, for anything but zeros and ones where those are needed, or
                for another number of classes than before.
            RuntimeError: if the kind of data has changed.
            TypeError: for an output that is no such pair.
        """
        kind, y_pred, y = classified(*self._pair(output), self._is_multilabel)
        if y.numel():
            counter = self._counter_for(kind, y.device)
            counter.update(y_pred.to(counter.device), y.to(counter.device))

    def _new_counter(self, kind: Kind | None) -> torchmetrics.Metric:
        from torchmetrics.classification import BinaryAccuracy, MulticlassAccuracy, MultilabelExactMatch

        assert kind is not None
        # What torchmetrics would validate is looked at before, or makes the host wait for the device.
        if kind.name == "multiclass":
            return MulticlassAccuracy(kind.classes, average="micro", validate_args=False)
        if kind.name == "multilabel":
            return MultilabelExactMatch(kind.classes, validate_args=False)
        return BinaryAccuracy(validate_args=False)
