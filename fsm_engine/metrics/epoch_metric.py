"""`EpochMetric`: computed from all predictions and targets at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import copy
from typing import Any, ClassVar

import torch

from fsm_engine._util.identity import identity
from fsm_engine.metrics.metric import Metric, NotComputableError, OutputTransform
from fsm_engine.metrics.rank_states import Reductions


class EpochMetricWarning(UserWarning):
    """`compute_fn` of an `EpochMetric` raised an exception when it was tried on the first batch."""


class EpochMetric(Metric):
    """Value of a function of all predictions and targets, such as ROC AUC.

    All batches are kept in memory, concatenated and passed to `compute_fn` when the metric is computed. With several
    ranks, each gets the batches of all ranks then, in the order of the ranks. y_pred and y
    are of shape (batch,) or (batch, targets); (batch, 1) becomes (batch,).

    Args:
        compute_fn: called as ``compute_fn(y_pred, y)``; returns the value.
        output_transform: function from ``engine.state.output`` to (y_pred, y).
        check_compute_fn: try `compute_fn` on the first batch and warn if it raises.
        device: device on which batches are kept, such as ``"cpu"`` to save GPU memory; None means the device of the
            data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Raises:
        TypeError: `compute_fn` or `output_transform` is not callable.

    Example:
        >>> largest_error = EpochMetric(lambda y_pred, y: (y_pred - y).abs().max().item())
        >>> largest_error.update((torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])))
        >>> largest_error.update((torch.tensor([3.0]), torch.tensor([8.0])))
        >>> largest_error.compute()
        5.0
    """

    _state_dict_all_req_keys = ("_predictions", "_targets")
    state_reductions: ClassVar[Reductions | None] = {"_predictions": "cat", "_targets": "cat"}

    def __init__(
        self,
        compute_fn: Callable[[torch.Tensor, torch.Tensor], Any],
        output_transform: OutputTransform = identity,
        check_compute_fn: bool = True,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        if not callable(compute_fn):
            raise TypeError(f"Argument compute_fn should be callable, got {compute_fn!r}.")
        self._compute_fn = compute_fn
        self._check_compute_fn = check_compute_fn
        super().__init__(output_transform, device, skip_unrolling)

    def reset(self) -> None:
        """Discard all data."""
        self._predictions: list[torch.Tensor] = []
        self._targets: list[torch.Tensor] = []

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y).

        Raises:
            ValueError: a tensor has another number of dimensions than 1 or 2, or another dtype than before.
        """
        y_pred, y = (self._copy(tensor) for tensor in output)
        for name, new, stored in (("y_pred", y_pred, self._predictions), ("y", y, self._targets)):
            if stored and stored[-1].dtype != new.dtype:
                raise ValueError(
                    f"Incoherent types between input {name} and the stored batches: {new.dtype} vs {stored[-1].dtype}."
                )
        self._predictions.append(y_pred)
        self._targets.append(y)
        if self._check_compute_fn and len(self._predictions) == 1:
            self._try_compute_fn(y_pred, y)

    def compute(self) -> Any:
        """Return `compute_fn` of all data since `reset`.

        Raises:
            NotComputableError: the metric has no data.
        """
        if not self._predictions:
            raise NotComputableError(f"{type(self).__name__} must have at least one example before it can be computed.")
        device = self._predictions[-1].device  # batches from a loaded state dict may be on another device
        return self._compute_fn(
            *(torch.cat([t.to(device) for t in stored]) for stored in (self._predictions, self._targets))
        )

    def _rank_state(self) -> Any:
        joined = copy(self)  # one tensor is sent faster than many
        for name in ("_predictions", "_targets"):
            stored = getattr(self, name)
            setattr(joined, name, [torch.cat([t.to(stored[-1].device) for t in stored])] if stored else [])
        return super(EpochMetric, joined)._rank_state()

    def _copy(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.ndim not in (1, 2):
            raise ValueError(
                f"Predictions and targets should be of shape (batch_size, n_targets) or (batch_size, ), but given "
                f"{tuple(tensor.shape)}."
            )
        flat = tensor.squeeze(-1) if tensor.ndim == 2 else tensor
        return flat.detach().to(self.device or tensor.device, copy=True)

    def _try_compute_fn(self, y_pred: torch.Tensor, y: torch.Tensor) -> None:
        try:
            self._compute_fn(y_pred, y)
        except Exception as error:
            warnings.warn(
                f"Probably, there can be a problem with `compute_fn`: it raised {error!r} on the first batch.",
                EpochMetricWarning,
                stacklevel=3,
            )
