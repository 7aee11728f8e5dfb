"""`WeightedMean`, for torchmetrics. Imports it, and so is imported only when it is needed."""

from __future__ import annotations

import torch
import torchmetrics


class WeightedMean(torchmetrics.Metric):
    """The mean of values by weight, in the precision of its states.

    The one of torchmetrics makes the host wait for the device to look for NaN; here NaN shows in the result.
    """

    total: torch.Tensor
    weight: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("weight", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, value: torch.Tensor, weight: float) -> None:
        """Add `value`, a tensor without dimensions, `weight` times."""
        self.total += value.to(self.total.dtype) * weight
        self.weight += weight

    def compute(self) -> torch.Tensor:
        """Return the mean."""
        return self.total / self.weight
