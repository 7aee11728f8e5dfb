"""Counts of classes and labels. Imports torchmetrics, so other modules import this one only when they need it.

The metrics of torchmetrics count with `torch.bincount`, which makes the host wait for the device. These do not wait.
"""

from __future__ import annotations

import torch
import torchmetrics


def count(values: torch.Tensor, size: int, amounts: torch.Tensor | None = None) -> torch.Tensor:
    """Return how often each number below `size` is in `values`; with `amounts`, the sum of its amounts."""
    flat = values.flatten().long()
    added = torch.ones_like(flat) if amounts is None else amounts.flatten().long()
    return torch.zeros(size, dtype=torch.long, device=flat.device).index_add_(0, flat, added)


class ConfusionCounts(torchmetrics.Metric):
    """Confusion matrix of shape (classes, classes): a row for each true class, a column for each predicted class."""

    confmat: torch.Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.add_state("confmat", torch.zeros(classes, classes, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, y_pred: torch.Tensor, y: torch.Tensor) -> None:
        """Add predicted and true classes."""
        counts = count(y * self.classes + y_pred, self.classes**2)
        self.confmat += counts.view(self.classes, self.classes).to(self.confmat.dtype)

    def compute(self) -> torch.Tensor:
        """Return the matrix."""
        return self.confmat


class LabelConfusionCounts(torchmetrics.Metric):
    """Confusion matrices of shape (labels, 2, 2), of tensors of zeros and ones of shape (batch, labels, ...)."""

    confmat: torch.Tensor

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.add_state("confmat", torch.zeros(labels, 2, 2, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, y_pred: torch.Tensor, y: torch.Tensor) -> None:
        """Add predicted and true labels."""
        y_pred, y = (tensor.movedim(1, 0).flatten(1) for tensor in (y_pred, y))
        both, predicted, true = (y_pred * y).sum(1), y_pred.sum(1), y.sum(1)
        neither = y.shape[1] - predicted - true + both
        counts = torch.stack([neither, predicted - both, true - both, both], 1).view(-1, 2, 2)
        self.confmat += counts.to(self.confmat.dtype)

    def compute(self) -> torch.Tensor:
        """Return the matrices."""
        return self.confmat


class ClassCounts(torchmetrics.Metric):
    """Counts per class, of shape (classes, 5): true and false positives, true and false negatives, examples."""

    tp: torch.Tensor
    fp: torch.Tensor
    tn: torch.Tensor
    fn: torch.Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        for name in ("tp", "fp", "tn", "fn"):
            self.add_state(name, torch.zeros(classes, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, y_pred: torch.Tensor, y: torch.Tensor) -> None:
        """Add true classes, and predicted ones or the scores of all classes in dimension 1."""
        if y_pred.ndim == y.ndim + 1:
            y_pred = y_pred.argmax(1)
        hits = count(y, self.classes, y_pred == y)
        predicted, true = count(y_pred, self.classes), count(y, self.classes)
        self.tp += hits.to(self.tp.dtype)
        self.fp += (predicted - hits).to(self.fp.dtype)
        self.fn += (true - hits).to(self.fn.dtype)
        self.tn += (y.numel() - predicted - true + hits).to(self.tn.dtype)

    def compute(self) -> torch.Tensor:
        """Return the counts."""
        return torch.stack([self.tp, self.fp, self.tn, self.fn, self.tp + self.fn], -1)
