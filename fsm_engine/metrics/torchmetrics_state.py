"""What a metric has accumulated, as plain data and tensors: the state dicts of metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine._util.plain_data import copy_plain, find_not_plain, plain_numbers

if TYPE_CHECKING:
    import torchmetrics

    TorchMetric = torchmetrics.Metric | torchmetrics.MetricCollection

_SETTINGS = (torch.device, torch.dtype, torch.nn.Module, ModuleType, type)


def attributes_of(thing: Any, names: Iterable[str] | None, but: Iterable[str]) -> dict[str, Any]:
    """Return copies of the attributes of `thing` with these names; of all that are data, if `names` is None.

    Args:
        thing: whose attributes are saved.
        names: which of them.
        but: names that are left out if all are wanted.

    Raises:
        TypeError: for an attribute that is no plain data, no tensor, and nothing that can be called.
    """
    if names is not None:
        return {name: plain(getattr(thing, name), f"{type(thing).__name__}.{name}") for name in names}
    return {
        name: plain(value, f"{type(thing).__name__}.{name}")
        for name, value in vars(thing).items()
        if name not in but and not isinstance(value, _SETTINGS) and not callable(value)
    }


def plain(value: Any, where: str = "it") -> Any:
    """Return a copy of `value` made of plain data and tensors alone.

    Raises:
        TypeError: if it has something else in it.
    """
    copied = copy_plain(plain_numbers(value), lambda tensor: tensor.detach().clone())
    found = find_not_plain(copied)
    if found is not None:
        path, part = found
        raise TypeError(
            f"{where} cannot be saved: {where}{path} is {part!r}, which is neither plain data nor a tensor. Name the "
            f"attributes that reset() starts anew in _state_dict_all_req_keys, or define state_dict and "
            f"load_state_dict."
        )
    return copied


def of_torchmetrics(metric: TorchMetric) -> dict[str, Any]:
    """Return what a metric or collection of torchmetrics has accumulated, with that of metrics inside it."""
    return {name: {key: plain(getattr(part, key)) for key in _kept(part)} for name, part in parts_of(metric).items()}


def into_torchmetrics(metric: TorchMetric, given: Mapping[str, Any]) -> None:
    """Give `metric` what `of_torchmetrics` returned, on the device where it is.

    Raises:
        TypeError: if it is no mapping.
        ValueError: if that was another metric; nothing is changed then.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"Argument state_dict should be a dictionary, but given {type(given)}.")
    parts = parts_of(metric)
    own = {name: _kept(part) for name, part in parts.items()}
    if own != {name: sorted(kept) if isinstance(kept, Mapping) else kept for name, kept in given.items()}:
        raise ValueError(f"the state dictionary is not one of {type(metric).__name__}, which has {own}: {given}.")
    for name, part in parts.items():
        for key, value in given[name].items():
            setattr(part, key, copy_plain(value, partial(_on_device, part.device)))
        part._computed = None


def parts_of(metric: TorchMetric) -> dict[str, torchmetrics.Metric]:
    """Return `metric` and the metrics inside it, such as those of a collection or a wrapper, by name."""
    import torchmetrics

    if isinstance(metric, torchmetrics.MetricCollection):
        list(metric.values())  # brings those up to date that share the state of another
    return {name: part for name, part in metric.named_modules() if isinstance(part, torchmetrics.Metric)}


def _kept(part: torchmetrics.Metric) -> list[str]:
    """Return its states, and what else of its attributes is a tensor or a count, such as those of wrappers."""
    others = [name for name, value in vars(part).items() if type(value) is int or isinstance(value, torch.Tensor)]
    return sorted({*part._defaults, *others} - {"_computed"})


def _on_device(device: torch.device, tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to(device, copy=True)
