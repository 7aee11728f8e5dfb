"""States of metrics of torchmetrics, and of the metrics inside them, as plain data and tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine._util.plain_data import copy_plain
from fsm_engine.metrics.rank_states import on_cpu
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


# With several ranks

_UPDATES = "_update_count"


def never() -> bool:
    """Return False: a metric of torchmetrics that asks this function for other ranks has the data of its own rank."""
    return False


def rank_state(metric: TorchMetric) -> dict[str, Any]:
    """Return copies of the accumulated states on the CPU, by the name of the submetric and the name of the state."""
    return {
        name: {key: on_cpu(getattr(part, key)) for key in (_UPDATES, *part._reductions)}
        for name, part in submetrics_of(metric).items()
    }


def merged_states(metric: TorchMetric, states: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the states for the data of all ranks, given the results of `rank_state` on each rank."""
    merged = {}
    for name, part in submetrics_of(metric).items():
        own = [state[name] for state in states]
        used = [state for state in own if state[_UPDATES]] or own  # an average with the initial value would be wrong
        reductions: Mapping[str, Any] = part._reductions
        merged[name] = {key: _merged(reductions[key], [state[key] for state in used]) for key in reductions}
        merged[name][_UPDATES] = max(state[_UPDATES] for state in own)
    return merged


def _merged(reduction: Any, values: list[Any]) -> Any:
    if isinstance(values[0], list):
        items = [item for value in values for item in value]
        return items if reduction is None or reduction.__name__ == "dim_zero_cat" else reduction(items)
    if len(values) == 1:
        return values[0]
    stacked = torch.stack(values)
    return stacked if reduction is None else reduction(stacked)


def set_states(metric: TorchMetric, states: Mapping[str, Any]) -> None:
    """Set the states that `merged_states` returned, on the devices of `metric` and its submetrics."""
    for name, part in submetrics_of(metric).items():
        for key, value in states[name].items():
            setattr(part, key, copy_plain(value, partial(_to, part.device)))
        part._computed = None


@contextmanager
def own_rank(metric: TorchMetric) -> Iterator[None]:
    """Return a context in which ``metric.compute()`` does not exchange data with other ranks."""
    parts = list(submetrics_of(metric).values())
    before = [part.distributed_available_fn for part in parts]
    for part in parts:
        part.distributed_available_fn = never
        part._computed = None
    try:
        yield
    finally:
        for part, function in zip(parts, before):
            part.distributed_available_fn = function
            part._computed = None


@contextmanager
def replaced_states(metric: TorchMetric, states: Mapping[str, Any]) -> Iterator[None]:
    """Return a context in which `metric` has the states that `merged_states` returned."""
    parts = submetrics_of(metric).values()
    own = [(part, key, getattr(part, key)) for part in parts for key in (_UPDATES, *part._reductions)]
    set_states(metric, states)
    try:
        with own_rank(metric):
            yield
    finally:
        for part, key, value in own:
            setattr(part, key, value)


def _copy_to(device: torch.device, tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to(device, copy=True)


def _to(device: torch.device, tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(device)
