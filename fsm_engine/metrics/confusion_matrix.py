"""`ConfusionMatrix`: how often each class was taken for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine.metrics.classification import Kind
from fsm_engine.metrics.metric import OutputTransform, unchanged
from fsm_engine.metrics.pair_metric import PairMetric

if TYPE_CHECKING:
    import torchmetrics

_AVERAGES = ("samples", "recall", "precision")


class ConfusionMatrix(PairMetric):
    """How often examples or positions of class i were taken for class j: a tensor (i, j) of integers.

    y_pred (batch, classes, ...) holds scores, of which the highest wins, y (batch, ...) classes. What y holds beside
    them, such as -100, is left out.

    Args:
        num_classes: how many classes there are.
        average: ``"samples"`` divides by how many examples there are, ``"recall"`` by how often each class is in y,
            ``"precision"`` by how often it was predicted; None divides by nothing.
        output_transform: turns ``engine.state.output`` into (y_pred, y), or a mapping with these keys.
        device: where it computes; None means where the data is.
        skip_unrolling: whether lists of tensors are given to `update` as they are, and not pair by pair.

    Raises:
        ValueError: for another average, or less than two classes.
        ModuleNotFoundError: if torchmetrics is not installed.
    """

    def __init__(
        self,
        num_classes: int,
        average: str | None = None,
        output_transform: OutputTransform = unchanged,
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
        """Forget all data."""
        super().reset()
        self._examples = 0

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or a mapping with these keys.

        Raises:
            ValueError: for shapes that do not fit.
            TypeError: for an output that is no such pair.
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
            counter = self._counter_for(None, y.device)
            known = torch.where((y >= 0) & (y < classes), y, classes)  # the others are a class of their own
            counter.update(y_pred.detach().argmax(1).to(counter.device), known.long().to(counter.device))

    def state_dict(self) -> dict[str, Any]:
        """Return what has been counted since `reset`."""
        return {**super().state_dict(), "examples": self._examples}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, on the device of the next batch.

        Raises:
            TypeError: if it is no mapping.
            ValueError: if it was that of another metric; nothing is changed then.
        """
        counted = dict(state_dict) if isinstance(state_dict, Mapping) else state_dict
        examples = counted.pop("examples", 0) if isinstance(counted, dict) else 0
        super().load_state_dict(counted)
        self._examples = examples

    def _new_counter(self, kind: Kind | None) -> torchmetrics.Metric:  # noqa: ARG002  # there is but one kind
        from torchmetrics.classification import MulticlassConfusionMatrix

        return MulticlassConfusionMatrix(self.num_classes + 1, validate_args=False)

    def _value(self, counter: torchmetrics.Metric) -> torch.Tensor:
        matrix: torch.Tensor = counter.compute()[:-1, :-1].long()
        if self.average is None:
            return matrix
        if self.average == "samples":
            return matrix.div(self._examples)
        return self.normalize(matrix.float(), self.average)

    @staticmethod
    def normalize(matrix: torch.Tensor, average: str) -> torch.Tensor:
        """Return `matrix` divided by how often each class occurs, in y or among the predictions.

        Raises:
            ValueError: for an average that is neither ``"recall"`` nor ``"precision"``.
        """
        if average not in ("recall", "precision"):
            raise ValueError(f"Argument average should be one of recall, precision, but is {average!r}.")
        return matrix / (matrix.sum(1 if average == "recall" else 0, keepdim=True) + 1e-15)
