"""`Accuracy`: the share of predictions that are right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fsm_engine.metrics.counted import Counted
from fsm_engine.metrics.metric import OutputTransform, unchanged

if TYPE_CHECKING:
    import torch
    import torchmetrics


class _Kind(NamedTuple):
    name: str
    classes: int


class Accuracy(Counted):
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

    Raises:
        ModuleNotFoundError: if torchmetrics is not installed.
    """

    def __init__(
        self,
        output_transform: OutputTransform = unchanged,
        is_multilabel: bool = False,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__(output_transform, device)
        self._is_multilabel = is_multilabel

    def reset(self) -> None:
        """Forget all data, and what kind it was of."""
        super().reset()
        self._kind: _Kind | None = None

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or a mapping with these keys.

        Raises:
            ValueError: for shapes that do not fit, for anything but zeros and ones where those are needed, or
                for another number of classes than before.
            RuntimeError: if the kind of data has changed.
            TypeError: for an output that is no such pair.
        """
        y_pred, y = self._pair(output)
        if y_pred.ndim == y.ndim + 1 and y_pred.shape[1:2] == (1,):
            y_pred = y_pred.squeeze(1)
        kind = _multilabel(y_pred, y) if self._is_multilabel else _kind_of(y_pred, y)
        if kind.name != "multiclass":
            y_pred, y = _zeros_and_ones("y_pred", y_pred), _zeros_and_ones("y", y)
        if y.numel():
            self._count(kind, y_pred, y)

    def _count(self, kind: _Kind, y_pred: torch.Tensor, y: torch.Tensor) -> None:
        counter = self._counter
        if counter is None:
            counter = self._counter = self._placed(_counter_of(kind), y.device)
            self._kind = kind
        elif self._kind is not None and self._kind != kind:
            raise _changed(self._kind, kind)
        counter.update(y_pred.to(counter.device), y.to(counter.device))


def _multilabel(y_pred: torch.Tensor, y: torch.Tensor) -> _Kind:
    if y_pred.shape != y.shape or y.ndim < 2 or y.shape[1] < 2:
        raise ValueError(
            f"y and y_pred must have same shape of (batch_size, num_categories, ...) and num_categories > 1, "
            f"but given {tuple(y.shape)} vs {tuple(y_pred.shape)}."
        )
    return _Kind("multilabel", y.shape[1])


def _kind_of(y_pred: torch.Tensor, y: torch.Tensor) -> _Kind:
    if y.ndim and y_pred.shape == y.shape:
        return _Kind("binary", 2)
    if y.ndim and y_pred.shape[:1] + y_pred.shape[2:] == y.shape:
        return _Kind("multiclass", y_pred.shape[1])
    raise ValueError(
        f"y must have shape of (batch_size, ...) and y_pred must have shape of (batch_size, num_categories, ...) or "
        f"(batch_size, ...), but given {tuple(y.shape)} vs {tuple(y_pred.shape)}."
    )


def _zeros_and_ones(name: str, tensor: torch.Tensor) -> torch.Tensor:
    if not ((tensor == 0) | (tensor == 1)).all():
        raise ValueError(
            f"For binary cases, {name} must be comprised of 0's and 1's. Round y_pred with output_transform=, or give "
            f"scores of shape (batch_size, num_categories, ...)."
        )
    return tensor.long()


def _changed(before: _Kind, now: _Kind) -> Exception:
    if before.name != now.name:
        return RuntimeError(f"Input data type has changed from {before.name} to {now.name}. Call reset() in between.")
    return ValueError(f"Input data number of classes has changed from {before.classes} to {now.classes}.")


def _counter_of(kind: _Kind) -> torchmetrics.Metric:
    from torchmetrics.classification import BinaryAccuracy, MulticlassAccuracy, MultilabelExactMatch

    # What torchmetrics would validate is looked at above, or makes the host wait for the device.
    if kind.name == "multiclass":
        return MulticlassAccuracy(kind.classes, average="micro", validate_args=False)
    if kind.name == "multilabel":
        return MultilabelExactMatch(kind.classes, validate_args=False)
    return BinaryAccuracy(validate_args=False)
