"""`WeightedMean` and `Maximum`. Imports torchmetrics, so other modules import this one only when they need it."""

from __future__ import annotations

import torch
import torchmetrics


class WeightedMean(torchmetrics.Metric):
    """Weighted mean of tensors, accumulated in the dtype of the metric.

    `torchmetrics.MeanMetric` checks for NaN, which makes the host wait for the device, and with
    ``nan_strategy="disable"`` version 1.9 ignores the weights. Here a NaN makes the mean NaN.
    """

    total: torch.Tensor
    weight: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("weight", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, value: torch.Tensor, weight: float | torch.Tensor) -> None:
        """Add `value`, a tensor of the same shape each time, with `weight`."""
        self.total = self.total + value.to(self.total.dtype) * weight  # not in place: `value` may be a vector
        self.weight += weight

    def compute(self) -> torch.Tensor:
        """Return the mean, a tensor of the shape of the values."""
        return self.total / self.weight


class Maximum(torchmetrics.Metric):
    """Largest value, NaN left out. `torchmetrics.MaxMetric` checks for NaN, which makes the host wait."""

    max_value: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("max_value", torch.tensor(-torch.inf), dist_reduce_fx="max")

    def update(self, values: torch.Tensor) -> None:
        """Add values."""
        largest = values.to(self.max_value.dtype).nan_to_num(-torch.inf, torch.inf, -torch.inf).max()
        self.max_value = torch.maximum(self.max_value, largest)

    def compute(self) -> torch.Tensor:
        """Return the largest value."""
        return self.max_value
