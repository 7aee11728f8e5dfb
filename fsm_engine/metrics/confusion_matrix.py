"""`ConfusionMatrix`: counts of predicted classes for each true class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from fsm_engine.metrics.metric import OutputTransform, unchanged
from fsm_engine.metrics.pair_metric import PairMetric

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
        from torchmetrics.classification import MulticlassConfusionMatrix

        return MulticlassConfusionMatrix(self.num_classes + 1, validate_args=False)

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
