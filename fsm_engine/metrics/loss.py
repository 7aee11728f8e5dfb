"""`Loss`: the mean of a loss over examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine.metrics.metric import OutputTransform, unchanged
from fsm_engine.metrics.pair_metric import PairMetric

if TYPE_CHECKING:
    from collections.abc import Callable

    import torchmetrics

    from fsm_engine.metrics.classification import Kind


class Loss(PairMetric):
    """The mean of a loss over all examples, each batch weighing as much as it has.

    Sums are kept in double precision where the device has it. No update waits for the device.

    Args:
        loss_fn: called as ``loss_fn(y_pred, y)``, without gradients; returns the mean over the batch.
        output_transform: turns ``engine.state.output`` into (y_pred, y), or a mapping with these keys.
        batch_size: called as ``batch_size(y)``; returns the number of examples of the batch.
        device: where the sums are kept; None means where the loss is.
        skip_unrolling: whether lists of tensors are given to `update` as they are, and not pair by pair.

    Raises:
        ModuleNotFoundError: if torchmetrics is not installed.
    """

    def __init__(
        self,
        loss_fn: Callable[..., torch.Tensor],
        output_transform: OutputTransform = unchanged,
        batch_size: Callable[[Any], int] = len,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        super().__init__(output_transform, device, skip_unrolling)
        self._loss_fn = loss_fn
        self._batch_size = batch_size

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or a mapping with these keys.

        Arguments for `loss_fn` by name may be given, too: (y_pred, y, kwargs), or the key ``"criterion_kwargs"``.

        Raises:
            ValueError: if the loss is no single number.
            TypeError: for an output that is no such pair.
        """
        output, kwargs = _without_kwargs(output)
        y_pred, y = self._pair(output)
        examples = self._batch_size(y)
        if not examples:
            return
        with torch.no_grad():
            loss = self._loss_fn(y_pred, y, **kwargs)
        if loss.ndim:
            raise ValueError(
                f"loss_fn did not return the average loss, but a tensor of shape {tuple(loss.shape)}. "
                f"Give one that averages over the batch, such as with reduction='mean'."
            )
        mean = self._counter_for(None, loss.device)
        mean.update(loss.to(mean.device), examples)

    def _new_counter(self, kind: Kind | None) -> torchmetrics.Metric:  # noqa: ARG002  # losses are of one kind
        from fsm_engine.metrics.weighted_mean import WeightedMean

        return WeightedMean()


def _without_kwargs(output: Any) -> tuple[Any, Mapping[str, Any]]:
    if isinstance(output, Mapping):
        return output, output.get("criterion_kwargs", {})
    if isinstance(output, (tuple, list)) and len(output) == 3 and isinstance(output[2], Mapping):
        return output[:2], output[2]
    return output, {}
