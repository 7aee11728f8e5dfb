"""`TopKCategoricalAccuracy`: how often the right class is among the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsm_engine.metrics.classification import Kind
from fsm_engine.metrics.metric import OutputTransform, unchanged
from fsm_engine.metrics.pair_metric import PairMetric

if TYPE_CHECKING:
    import torch
    import torchmetrics


class TopKCategoricalAccuracy(PairMetric):
    """The share of examples whose class is among the `k` with the highest scores.

    y_pred (batch, classes) holds scores, y (batch) classes. No update waits for the device.

    Args:
        k: how many classes may be named.
        output_transform: turns ``engine.state.output`` into (y_pred, y), or a mapping with these keys.
        device: where it computes; None means where the data is.
        skip_unrolling: whether lists of tensors are given to `update` as they are, and not pair by pair.

    Raises:
        ModuleNotFoundError: if torchmetrics is not installed.
    """

    def __init__(
        self,
        k: int = 5,
        output_transform: OutputTransform = unchanged,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        super().__init__(output_transform, device, skip_unrolling)
        self._k = k

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or a mapping with these keys.

        Raises:
            ValueError: for shapes that do not fit, or if there are fewer than `k` classes.
            TypeError: for an output that is no such pair.
        """
        y_pred, y = self._pair(output)
        if y_pred.ndim != 2 or y.shape != y_pred.shape[:1] or y_pred.shape[1] < self._k:
            raise ValueError(
                f"y_pred must have shape of (batch_size, num_categories), with at least k={self._k} categories, and "
                f"y of (batch_size,), but given {tuple(y_pred.shape)} and {tuple(y.shape)}."
            )
        if y.numel():
            best = y_pred.topk(self._k, dim=1).indices
            mean = self._counter_for(None, y.device)
            hits = (best == y.unsqueeze(1)).any(1).to(mean.device)
            mean.update(hits.to(mean.dtype).mean(), y.numel())

    def _new_counter(self, kind: Kind | None) -> torchmetrics.Metric:  # noqa: ARG002  # there is but one kind
        from fsm_engine.metrics.weighted_mean import WeightedMean

        return WeightedMean()
