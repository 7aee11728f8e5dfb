"""`CosineSimilarity` and `MeanPairwiseDistance`: means over pairs of vectors."""

from __future__ import annotations

import torch
from torch.nn import functional

from fsm_engine._util.identity import identity
from fsm_engine.metrics.example_mean import ExampleMean
from fsm_engine.metrics.metric import OutputTransform


class CosineSimilarity(ExampleMean):
    """Mean cosine of the angle between y_pred and y, a float; each example is one vector, whatever its shape.

    Args:
        eps: lower bound of the product of the norms.
        output_transform: function from ``engine.state.output`` to (y_pred, y), or to a mapping with these keys.
        device: device of the accumulator; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Example:
        >>> similarity = CosineSimilarity()
        >>> similarity.update((torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0], [1.0, 0.0]])))
        >>> similarity.compute()
        0.5
    """

    def __init__(
        self,
        eps: float = 1e-8,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        super().__init__(output_transform, device, skip_unrolling)
        self.eps = eps

    def _values(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return functional.cosine_similarity(y_pred.flatten(1), y.flatten(1), dim=1, eps=self.eps)


class MeanPairwiseDistance(ExampleMean):
    """Mean distance between y_pred and y, a float: the norm of their difference, as in `torch.nn.PairwiseDistance`.

    Args:
        p: order of the norm.
        eps: added to each difference.
        output_transform: function from ``engine.state.output`` to (y_pred, y), or to a mapping with these keys.
        device: device of the accumulator; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Example:
        >>> metric = MeanPairwiseDistance()
        >>> metric.update((torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([[3.0, 4.0], [1.0, 2.0]])))
        >>> round(metric.compute(), 4)
        3.0
    """

    def __init__(
        self,
        p: int = 2,
        eps: float = 1e-6,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        super().__init__(output_transform, device, skip_unrolling)
        self._p, self._eps = p, eps

    def _values(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return functional.pairwise_distance(y_pred, y, self._p, self._eps)
