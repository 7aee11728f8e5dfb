"""`EpochMetric`: computed from all predictions at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

from fsm_engine.metrics.metric import Metric, NotComputableError, OutputTransform, unchanged


class EpochMetricWarning(UserWarning):
    """A function that computes a metric has failed on the first batch, which it was tried on."""


class EpochMetric(Metric):
    """What a function makes of all predictions and targets, which are kept until then, on their device.

    y_pred and y are of shape (batch,) or (batch, targets); (batch, 1) becomes (batch,).

    Args:
        compute_fn: called as ``compute_fn(y_pred, y)``; returns the value.
        output_transform: turns ``engine.state.output`` into (y_pred, y).
        check_compute_fn: whether `compute_fn` is tried on the first batch, with a warning if it raises.
        device: where the data is kept, such as ``"cpu"`` to spare the memory of a GPU; None means where it is.
        skip_unrolling: whether lists of tensors are given to `update` as they are, and not pair by pair.

    Raises:
        TypeError: for functions that cannot be called.
    """

    _state_dict_all_req_keys = ("_predictions", "_targets")

    def __init__(
        self,
        compute_fn: Callable[[torch.Tensor, torch.Tensor], Any],
        output_transform: OutputTransform = unchanged,
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
        """Forget all data."""
        self._predictions: list[torch.Tensor] = []
        self._targets: list[torch.Tensor] = []

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y).

        Raises:
            ValueError: for other shapes, or for another dtype than before.
        """
        y_pred, y = (self._kept(tensor) for tensor in output)
        for name, new, before in (("y_pred", y_pred, self._predictions), ("y", y, self._targets)):
            if before and before[-1].dtype != new.dtype:
                raise ValueError(
                    f"Incoherent types between input {name} and what is stored of it: {new.dtype} vs "
                    f"{before[-1].dtype}."
                )
        self._predictions.append(y_pred)
        self._targets.append(y)
        if self._check_compute_fn and len(self._predictions) == 1:
            self._try(y_pred, y)

    def compute(self) -> Any:
        """Return what the function makes of all data since `reset`.

        Raises:
            NotComputableError: if there was none.
        """
        if not self._predictions:
            raise NotComputableError(f"{type(self).__name__} must have at least one example before it can be computed.")
        device = self._predictions[-1].device  # batches from before a state was loaded may be elsewhere
        return self._compute_fn(
            *(torch.cat([t.to(device) for t in kept]) for kept in (self._predictions, self._targets))
        )

    def _kept(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.ndim not in (1, 2):
            raise ValueError(
                f"Predictions and targets should be of shape (batch_size, n_targets) or (batch_size, ), but given "
                f"{tuple(tensor.shape)}."
            )
        flat = tensor.squeeze(-1) if tensor.ndim == 2 else tensor
        return flat.detach().to(self.device or tensor.device, copy=True)

    def _try(self, y_pred: torch.Tensor, y: torch.Tensor) -> None:
        try:
            self._compute_fn(y_pred, y)
        except Exception as error:
            warnings.warn(
                f"Probably, there can be a problem with `compute_fn`: it raised {error!r} on the first batch.",
                EpochMetricWarning,
                stacklevel=3,
            )
