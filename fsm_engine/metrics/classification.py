"""`ClassificationMetric`: base class of metrics of binary, multiclass and multilabel data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from fsm_engine._util.identity import identity
from fsm_engine.metrics.metric import OutputTransform
from fsm_engine.metrics.pair_metric import PairMetric
from fsm_engine.metrics.rank_states import Reductions

if TYPE_CHECKING:
    import torch
    import torchmetrics


class ClassificationMetric(PairMetric):
    """Base class of metrics that infer the classification task from the shapes of the first batch.

    The tasks and their shapes, where ``...`` stands for any number of further dimensions:

    - binary: y_pred (batch, ...) or (batch, 1, ...) and y (batch, ...) hold zeros and ones;
    - multiclass: y_pred (batch, classes, ...) holds scores, y (batch, ...) holds class indices;
    - multilabel, with ``is_multilabel=True``: y_pred and y (batch, labels, ...) hold zeros and ones.

    Args:
        output_transform: function from ``engine.state.output`` to (y_pred, y), or to a mapping with these keys.
        is_multilabel: read the data as multilabel.
        device: device of the accumulator; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Raises:
        ModuleNotFoundError: torchmetrics is not installed.
        TypeError: `output_transform` is not callable.
    """

    _state_dict_all_req_keys = ("_task", "_classes")
    state_reductions: ClassVar[Reductions | None] = {"_task": "same", "_classes": "same"}

    def __init__(
        self,
        output_transform: OutputTransform = identity,
        is_multilabel: bool = False,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        super().__init__(output_transform, device, skip_unrolling)
        self._is_multilabel = is_multilabel

    def reset(self) -> None:
        """Discard all data and the inferred task."""
        super().reset()
        self._task: str | None = None
        self._classes = 0

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or as a mapping with these keys.

        Raises:
            ValueError: the shapes do not match; a tensor has other values than 0 and 1 where only those are allowed;
                the number of classes has changed since the first batch.
            RuntimeError: the task has changed since the first batch.
            TypeError: `output` is neither a pair nor such a mapping.
        """
        y_pred, y = self._pair(output)
        if not self._is_multilabel and y_pred.ndim == y.ndim + 1 and y_pred.shape[1:2] == (1,):
            y_pred = y_pred.squeeze(1)
        task, classes = _multilabel_task(y_pred, y) if self._is_multilabel else _infer_task(y_pred, y)
        if task != "multiclass":
            y_pred, y = self._as_zeros_and_ones("y_pred", y_pred), self._as_zeros_and_ones("y", y)
        self._check(task, classes, y)
        if y.numel():
            self._set_task(task, classes)
            accumulator = self._accumulator_on(y.device)
            self._accumulate(accumulator, y_pred.detach().to(accumulator.device), y.to(accumulator.device))

    def _as_zeros_and_ones(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        self._require(
            (tensor == 0) | (tensor == 1),
            f"For binary cases, {name} must be comprised of 0's and 1's. Round y_pred with output_transform=, or give "
            f"scores of shape (batch_size, num_categories, ...).",
        )
        return tensor.long()

    def _check(self, task: str, classes: int, y: torch.Tensor) -> None:
        """Raise ValueError if this metric is not defined for the batch."""

    def _accumulate(self, accumulator: torchmetrics.Metric, y_pred: torch.Tensor, y: torch.Tensor) -> None:
        accumulator.update(y_pred, y)

    def _set_task(self, task: str, classes: int) -> None:
        if self._task is None:
            self._task, self._classes = task, classes
        if task != self._task:
            raise RuntimeError(f"Input data type has changed from {self._task} to {task}. Call reset() in between.")
        if classes != self._classes:
            raise ValueError(f"Input data number of classes has changed from {self._classes} to {classes}.")


def _multilabel_task(y_pred: torch.Tensor, y: torch.Tensor) -> tuple[str, int]:
    if y_pred.shape != y.shape or y.ndim < 2 or y.shape[1] < 2:
        raise ValueError(
            f"y and y_pred must have same shape of (batch_size, num_categories, ...) and num_categories > 1, "
            f"but given {tuple(y.shape)} vs {tuple(y_pred.shape)}."
        )
    return "multilabel", y.shape[1]


def _infer_task(y_pred: torch.Tensor, y: torch.Tensor) -> tuple[str, int]:
    if y.ndim and y_pred.shape == y.shape:
        return "binary", 2
    if y.ndim and y_pred.shape[:1] + y_pred.shape[2:] == y.shape:
        return "multiclass", y_pred.shape[1]
    raise ValueError(
        f"y must have shape of (batch_size, ...) and y_pred must have shape of (batch_size, num_categories, ...) or "
        f"(batch_size, ...), but given {tuple(y.shape)} vs {tuple(y_pred.shape)}."
    )
