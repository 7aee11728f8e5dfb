"""`TopKCategoricalAccuracy`: fraction of examples whose class is among the k highest scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsm_engine._util.identity import identity
from fsm_engine.metrics.metric import OutputTransform
from fsm_engine.metrics.pair_metric import PairMetric

if TYPE_CHECKING:
    import torch


class TopKCategoricalAccuracy(PairMetric):
    """Fraction of examples whose class is among the `k` classes with the highest scores, a float.

    y_pred (batch, classes) holds scores, y (batch,) holds class indices. No update makes the host wait for the device,
    unless `device` differs from the device of the data.

    Args:
        k: number of classes with the highest scores to consider.
        output_transform: function from ``engine.state.output`` to (y_pred, y), or to a mapping with these keys.
        device: device of the accumulator; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Raises:
        ModuleNotFoundError: torchmetrics is not installed.
        TypeError: `output_transform` is not callable.

    Example:
        >>> accuracy = TopKCategoricalAccuracy(k=2)
        >>> accuracy.update((torch.tensor([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]]), torch.tensor([2, 2])))
        >>> accuracy.compute()
        0.5
    """

    def __init__(
        self,
        k: int = 5,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        super().__init__(output_transform, device, skip_unrolling)
        self._k = k

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or as a mapping with these keys.

        Raises:
            ValueError: the shapes do not match, or there are fewer than `k` classes.
            TypeError: `output` is neither a pair nor such a mapping.
        """
        y_pred, y = self._pair(output)
        if y_pred.ndim != 2 or y.shape != y_pred.shape[:1] or y_pred.shape[1] < self._k:
            raise ValueError(
                f"y_pred must have shape of (batch_size, num_categories), with at least k={self._k} categories, and "
                f"y of (batch_size,), but given {tuple(y_pred.shape)} and {tuple(y.shape)}."
            )
        if y.numel():
            top = y_pred.topk(self._k, dim=1).indices
            mean = self._accumulator_on(y.device)
            hits = (top == y.unsqueeze(1)).any(1).to(mean.device)
            mean.update(hits.to(mean.dtype).mean(), y.numel())
