"""States of metrics of torchmetrics, and of the metrics inside them, as plain data and tensors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine._util.plain_data import copy_plain
from fsm_engine.metrics.state_dict import check_state_dict, copy_of

if TYPE_CHECKING:
    import torchmetrics

    TorchMetric = torchmetrics.Metric | torchmetrics.MetricCollection


def state_of(metric: TorchMetric) -> dict[str, Any]:
    """Return copies of the accumulated states, by the name of the submetric and the name of the state."""
    return {
        name: {key: copy_of(getattr(part, key)) for key in _state_names(part)}
        for name, part in submetrics_of(metric).items()
    }


def load_state(metric: TorchMetric, given: Mapping[str, Any]) -> None:
    """Set the states that `state_of` returned, on the devices of `metric` and its submetrics.

    Raises:
        TypeError: `given`, or the part of it for a submetric, is not a mapping.
        ValueError: `given` belongs to another metric. `metric` stays unchanged.
    """
    parts = submetrics_of(metric)
    check_state_dict(metric, given, parts)
    for name, part in parts.items():
        check_state_dict(part, given[name], _state_names(part))
    for name, part in parts.items():
        for key, value in given[name].items():
            setattr(part, key, copy_plain(value, partial(_copy_to, part.device)))
        part._computed = None


def submetrics_of(metric: TorchMetric) -> dict[str, torchmetrics.Metric]:
    """Return the metrics of a collection or wrapper, and `metric` itself if it is not a collection, by name."""
    import torchmetrics

    if isinstance(metric, torchmetrics.MetricCollection):
        list(metric.values())  # copies the state of a compute group to all its members
    return {name: part for name, part in metric.named_modules() if isinstance(part, torchmetrics.Metric)}


def _state_names(part: torchmetrics.Metric) -> list[str]:
    """Return the names of the states, and of other tensors and counts, which some wrappers keep as attributes."""
    others = [name for name, value in vars(part).items() if type(value) is int or isinstance(value, torch.Tensor)]
    return sorted({*part._defaults, *others} - {"_computed"})


def _copy_to(device: torch.device, tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to(device, copy=True)
