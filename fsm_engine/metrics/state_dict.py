"""State dicts of metrics: copies of attributes that hold data, and checks before they are loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import torch

from fsm_engine._util.plain_data import copy_plain, find, find_not_plain, items_of, map_leaves, plain_numbers

_ARGUMENTS = ("output_transform", "device", "skip_unrolling", "_metrics_result_mode")
_SETTINGS = (torch.device, torch.dtype, ModuleType)


def attributes_of(metric: Any, names: Iterable[str] | None) -> dict[str, Any]:
    """Return copies of the attributes `names`; if `names` is None, of all attributes that hold data.

    The arguments of `Metric`, devices, dtypes, modules and callables do not count as data. Metrics inside an attribute
    are saved as their state dicts.

    Raises:
        TypeError: an attribute holds something else than plain data and tensors.
    """
    if names is None:
        names = [
            name
            for name, value in vars(metric).items()
            if name not in _ARGUMENTS and not isinstance(value, _SETTINGS) and not callable(value)
        ]
    saved = {name: map_leaves(_state_of, getattr(metric, name)) for name in names}
    return {name: copy_of(value, f"{type(metric).__name__}.{name}") for name, value in saved.items()}


def load_attributes(metric: Any, state_dict: Mapping[str, Any]) -> None:
    """Set the attributes that `attributes_of` returned; metrics inside them load their state dicts."""
    for name, value in state_dict.items():
        setattr(metric, name, _loaded(getattr(metric, name, None), value))


def _has_state_dict(value: Any) -> bool:
    return callable(getattr(value, "state_dict", None))


def _state_of(leaf: Any) -> Any:
    return leaf.state_dict() if _has_state_dict(leaf) else leaf


def _loaded(present: Any, value: Any) -> Any:
    if _has_state_dict(present):
        present.load_state_dict(value)
        return present
    if find(_has_state_dict, present) is None:
        return copy_of(value)
    for key, part in items_of(present) or ():
        _loaded(part, value[key])
    return present


def copy_of(value: Any, name: str = "the value") -> Any:
    """Return a copy of `value` with detached tensors, and with scalars of NumPy as Python numbers.

    Raises:
        TypeError: `value` has a part that is neither plain data nor a tensor. The message calls it `name`.
    """
    copied = copy_plain(plain_numbers(value), lambda tensor: tensor.detach().clone())
    found = find_not_plain(copied)
    if found is not None:
        path, part = found
        raise TypeError(
            f"{name} cannot be saved: {name}{path} is {part!r}, which is neither plain data nor a tensor. Name the "
            f"attributes that reset() sets in _state_dict_all_req_keys, or define state_dict and load_state_dict."
        )
    return copied


def check_state_dict(metric: Any, given: Any, expected: Iterable[str], more: bool = False) -> None:
    """Check that the state dict `given` for `metric` has the `expected` keys; with `more` it may have others, too.

    Raises:
        TypeError: `given` is not a mapping.
        ValueError: `given` has other keys.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"Argument state_dict should be a dictionary, but given {type(given)}.")
    if not set(given) >= set(expected) or (set(given) != set(expected) and not more):
        raise ValueError(
            f"The state dict of {type(metric).__name__} has the keys {list(expected)}, but this one has "
            f"{list(given)}. Load a state dict that {type(metric).__name__}.state_dict() returned."
        )
