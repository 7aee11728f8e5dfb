"""What a metric has accumulated, as plain data and tensors: the state dicts of metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Number
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    import torchmetrics

    TorchMetric = torchmetrics.Metric | torchmetrics.MetricCollection

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
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
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if type(value) in _PLAIN:
        return value
    kind: Any = type(value)
    if issubclass(kind, Number) and hasattr(kind, "item"):  # one of numpy
        return value.item()
    if kind in (list, tuple):
        return kind([plain(item, where) for item in value])
    if kind is dict:
        return {key: plain(item, where) for key, item in value.items()}
    raise TypeError(
        f"{where} cannot be saved: it has {value!r} in it, which is neither plain data nor a tensor. Name the "
        f"attributes that reset() starts anew in _state_dict_all_req_keys, or define state_dict and load_state_dict."
    )


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
            setattr(part, key, _placed(value, part.device))
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


def _placed(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().to(device, copy=True)
    return [_placed(item, device) for item in value] if isinstance(value, list) else value
