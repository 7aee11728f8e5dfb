"""Which kind of classification data a batch is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch


class Kind(NamedTuple):
    """A kind of data: its name, binary, multiclass or multilabel, and how many classes or labels there are."""

    name: str
    classes: int


def classified(y_pred: torch.Tensor, y: torch.Tensor, is_multilabel: bool) -> tuple[Kind, torch.Tensor, torch.Tensor]:
    """Return the kind of a batch, and its two tensors in the form that torchmetrics takes.

    Raises:
        ValueError: for shapes that do not fit, and for anything but zeros and ones where those are needed.
    """
    if not is_multilabel and y_pred.ndim == y.ndim + 1 and y_pred.shape[1:2] == (1,):
        y_pred = y_pred.squeeze(1)
    kind = _multilabel(y_pred, y) if is_multilabel else _kind_of(y_pred, y)
    if kind.name != "multiclass":
        y_pred, y = _zeros_and_ones("y_pred", y_pred), _zeros_and_ones("y", y)
    return kind, y_pred, y


def _multilabel(y_pred: torch.Tensor, y: torch.Tensor) -> Kind:
    if y_pred.shape != y.shape or y.ndim < 2 or y.shape[1] < 2:
        raise ValueError(
            f"y and y_pred must have same shape of (batch_size, num_categories, ...) and num_categories > 1, "
            f"but given {tuple(y.shape)} vs {tuple(y_pred.shape)}."
        )
    return Kind("multilabel", y.shape[1])


def _kind_of(y_pred: torch.Tensor, y: torch.Tensor) -> Kind:
    if y.ndim and y_pred.shape == y.shape:
        return Kind("binary", 2)
    if y.ndim and y_pred.shape[:1] + y_pred.shape[2:] == y.shape:
        return Kind("multiclass", y_pred.shape[1])
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


def changed(before: Kind, now: Kind) -> Exception:
    """Return the error for data of another kind than that before it."""
    if before.name != now.name:
        return RuntimeError(f"Input data type has changed from {before.name} to {now.name}. Call reset() in between.")
    return ValueError(f"Input data number of classes has changed from {before.classes} to {now.classes}.")
