"""Plain data: what can be written to a file and read back without running anything."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

_ATOMS = (type(None), bool, int, float, str)
_SEQUENCES = (list, tuple)
_MAPPINGS = (dict, OrderedDict)


def is_tensor(value: Any) -> bool:
    """Say whether `value` is a tensor of torch, which is not imported for that."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def foreign(value: Any, place: str = "") -> tuple[str, Any] | None:
    """Return the first part of `value` that is neither plain data nor a tensor, and where, such as ``['a'][0]``.

    Plain are None, booleans, numbers, strings, and lists, tuples and dictionaries of them: exactly these types, since
    a subclass is not read back without running code of its own.
    """
    kind = type(value)
    if kind in _ATOMS or is_tensor(value):
        return None
    if kind in _MAPPINGS:
        for key, item in value.items():
            found = foreign(key, f"{place} key {key!r}") or foreign(item, f"{place}[{key!r}]")
            if found is not None:
                return found
        return None
    if kind in _SEQUENCES:
        return next((found for n, item in enumerate(value) if (found := foreign(item, f"{place}[{n}]"))), None)
    return place, value


def of_tensors(value: Any, function: Callable[[Any], Any]) -> Any:
    """Return plain data with `function` done to each tensor in it, containers made anew."""
    if is_tensor(value):
        return function(value)
    if type(value) in _MAPPINGS:
        return type(value)((key, of_tensors(item, function)) for key, item in value.items())
    if type(value) in _SEQUENCES:
        return type(value)(of_tensors(item, function) for item in value)
    return value
