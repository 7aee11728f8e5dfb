"""Short descriptions of any values, which call no code of the user's classes."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Number
from typing import Any

_MOST_CHARACTERS, _MOST_ITEMS = 80, 4


def describe_value(value: Any, depth: int = 2) -> str:
    """Return a text of a few words: numbers and short strings as they are, tensors by type, shape and device.

    A tensor without dimensions is a number, so its device may be waited for. Small sequences and mappings are
    described down to `depth` levels.
    """
    if value is None or isinstance(value, (bool, str)):
        text = repr(value)
        return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Number):
        return str(value)
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return _describe_tensor(value)
    if isinstance(value, (tuple, list, Mapping)):
        return _describe_collection(value, depth)
    return _name(value)


def _describe_collection(value: Any, depth: int) -> str:
    text = f"{_name(value)} of {len(value)}"
    if not depth or not 0 < len(value) <= _MOST_ITEMS:
        return text
    if isinstance(value, Mapping):
        items = [f"{describe_value(key, 0)}: {describe_value(item, depth - 1)}" for key, item in value.items()]
    else:
        items = [describe_value(item, depth - 1) for item in value]
    return f"{text}: {', '.join(items)}"


def _describe_tensor(tensor: Any) -> str:
    try:
        if not tuple(tensor.shape):
            return describe_value(tensor.item())
        device = getattr(tensor, "device", "")
        shape = ", ".join(map(str, tensor.shape))
        return (
            f"{_name(tensor)} [{shape}] {str(tensor.dtype).removeprefix('torch.')}{f' on {device}' if device else ''}"
        )
    except Exception:  # a lazy or broken tensor
        return _name(tensor)


def _name(value: Any) -> str:
    return type(value).__name__
