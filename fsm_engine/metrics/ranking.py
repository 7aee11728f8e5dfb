"""`HitRate` and `NDCG`: metrics of recommendations, for the k items with the highest scores."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch

from fsm_engine._util.identity import identity
from fsm_engine.metrics.example_mean import ExampleMean, check_same_shape
from fsm_engine.metrics.metric import OutputTransform


class _Ranking(ExampleMean):
    """Means over users, a list with one float for each k, from scores and relevances of shape (users, items)."""

    def __init__(
        self,
        top_k: list[int] | int,
        ignore_zero_hits: bool,
        output_transform: OutputTransform,
        device: str | torch.device | None,
        skip_unrolling: bool,
    ) -> None:
        self.top_k = sorted([top_k] if isinstance(top_k, int) else top_k) if isinstance(top_k, (int, list)) else []
        if not self.top_k or self.top_k[0] <= 0:
            raise ValueError(f"top_k must be a positive integer or a list of positive integers, got {top_k!r}.")
        super().__init__(output_transform, device, skip_unrolling)
        self.ignore_zero_hits = ignore_zero_hits

    @abstractmethod
    def _is_relevant(self, y: torch.Tensor) -> torch.Tensor:
        """Return which items are relevant."""

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or as a mapping with these keys.

        Raises:
            ValueError: the shapes do not match.
            TypeError: `output` is neither a pair nor such a mapping.
        """
        if not self.ignore_zero_hits:
            super().update(output)
            return
        y_pred, y = self._pair(output)
        values = self._values(y_pred.detach(), y.detach())
        if len(values):
            counts = self._is_relevant(y).any(-1)
            mean = self._accumulator_on(values.device)
            users = counts.sum()
            total = torch.where(counts.unsqueeze(-1), values, 0).to(mean.dtype).sum(0)
            mean.update((total / users.clamp(min=1)).to(mean.device), users.to(mean.device))

    def _value(self, accumulator: Any) -> list[float]:
        values: list[float] = accumulator.compute().reshape(-1).tolist()  # torchmetrics squeezes it
        return values


class HitRate(_Ranking):
    """Share of users with a relevant item among the k items with the highest scores, as a list, for each k.

    y_pred (users, items) holds scores; y (users, items) is above 0 for relevant items.

    Args:
        top_k: one k, or several.
        ignore_zero_hits: leave out users without relevant items.
        output_transform: function from ``engine.state.output`` to (y_pred, y), or to a mapping with these keys.
        device: device of the accumulator; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Raises:
        ValueError: `top_k` has a number that is not positive, or is empty.

    Example:
        >>> rate = HitRate(top_k=[1, 2])
        >>> rate.update((torch.tensor([[0.9, 0.5, 0.1], [0.2, 0.8, 0.7]]), torch.tensor([[1, 0, 0], [0, 0, 1]])))
        >>> rate.compute()
        [0.5, 1.0]
    """

    def __init__(
        self,
        top_k: list[int] | int = 1,
        ignore_zero_hits: bool = True,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        super().__init__(top_k, ignore_zero_hits, output_transform, device, skip_unrolling)

    def _values(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        check_same_shape(y_pred, y)
        hits = y.gather(-1, y_pred.topk(self.top_k[-1], dim=-1).indices) > 0
        return torch.stack([hits[:, :k].any(-1) for k in self.top_k], 1).float()

    def _is_relevant(self, y: torch.Tensor) -> torch.Tensor:
        return y > 0


class NDCG(_Ranking):
    """Mean normalized discounted cumulative gain of the k items with the highest scores, as a list, for each k.

    y_pred (users, items) holds scores; y (users, items) holds relevances.

    Args:
        top_k: the numbers k.
        ignore_zero_hits: leave out users without relevant items.
        relevance_threshold: lower relevances count as 0.
        gain_function: "exp_rank" for the gain ``2 ** relevance - 1``, "linear_rank" for the relevance itself.
        output_transform: function from ``engine.state.output`` to (y_pred, y), or to a mapping with these keys.
        device: device of the accumulator; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Raises:
        ValueError: `top_k` has a number that is not positive, or is empty; `gain_function` has another name.

    Example:
        >>> metric = NDCG(top_k=[2])
        >>> metric.update((torch.tensor([[0.9, 0.2, 0.4]]), torch.tensor([[1.0, 0.0, 2.0]])))
        >>> [round(value, 4) for value in metric.compute()]
        [0.7967]
    """

    def __init__(
        self,
        top_k: list[int],
        ignore_zero_hits: bool = True,
        relevance_threshold: float = 1.0,
        gain_function: str = "exp_rank",
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        if gain_function not in ("exp_rank", "linear_rank"):
            raise ValueError(f"gain_function must be either 'exp_rank' or 'linear_rank', but given {gain_function!r}.")
        super().__init__(top_k, ignore_zero_hits, output_transform, device, skip_unrolling)
        self.relevance_threshold = relevance_threshold
        self.gain_function = gain_function

    def _values(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        check_same_shape(y_pred, y)
        gains = torch.where(self._is_relevant(y), y, 0).double()
        if self.gain_function == "exp_rank":
            gains = 2**gains - 1
        order = y_pred.argsort(dim=-1, descending=True, stable=True)
        found, best = self._discounted(gains.gather(-1, order)), self._discounted(gains.sort(-1, descending=True)[0])
        return torch.where(best > 0, found / best, 0.0)

    def _is_relevant(self, y: torch.Tensor) -> torch.Tensor:
        return y >= self.relevance_threshold

    def _discounted(self, gains: torch.Tensor) -> torch.Tensor:
        """Return the sums over the first k items, for each k, of gains that shrink with the position."""
        positions = torch.arange(gains.shape[1], device=gains.device, dtype=gains.dtype)
        sums = (gains / torch.log2(positions + 2)).cumsum(-1)
        return sums[:, [min(k, gains.shape[1]) - 1 for k in self.top_k]]
