"""What a checkpoint may hold: tensors and plain data, which load without running any code."""

from __future__ import annotations

import io
import pickle
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import torch

_SIMPLE = (type(None), bool, int, float, str)
_ALWAYS = (*_SIMPLE, list, tuple, dict, OrderedDict)
_OF_TORCH = (torch.Tensor, torch.nn.Parameter, torch.Size, torch.dtype, torch.device)
_PERHAPS: tuple[Any, ...] = (1j, {1}, b"1", bytearray(b"1"), Counter("1"))  # older torch refuses some of these


def check_plain(checkpoint: Any) -> None:
    """Check that ``torch.load(..., weights_only=True)`` will take `checkpoint`.

    Raises:
        TypeError: for anything else in it; the message has its place and its type.
    """
    for place, value in _not_plain(checkpoint, "checkpoint", set()):
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise TypeError(
            f"{place} is a {kind}: {value!r:.80}. A checkpoint holds only tensors and plain data (numbers, strings, "
            f"None, lists, tuples, dicts), because loading anything else may run code. Let state_dict() give a number "
            f"of numpy as .item(), an array as torch.from_numpy(array), an object as its own state_dict()."
        )


def _not_plain(value: Any, place: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if type(value) not in _plain_types():
        yield place, value
    if isinstance(value, (str, int, float)) or id(value) in seen:
        return
    seen.add(id(value))
    for name, part in _parts(value):
        yield from _not_plain(part, place + name, seen)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Give what `value` consists of, each with how it is reached from there."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield f" (the key {key!r})", key
            yield f"[{key!r}]", part
    elif isinstance(value, (list, tuple, set)):
        # Random generators stand at lists of hundreds of numbers.
        yield from ((f"[{number}]", part) for number, part in enumerate(value) if type(part) not in _SIMPLE)
    yield from ((f".{name}", part) for name, part in getattr(value, "__dict__", {}).items())


@lru_cache(maxsize=1)
def _plain_types() -> frozenset[type]:
    return frozenset({*_ALWAYS, *_OF_TORCH, *(type(sample) for sample in _PERHAPS if _loads(sample))})


def _loads(sample: Any) -> bool:
    file = io.BytesIO()
    torch.save(sample, file)
    file.seek(0)
    try:
        torch.load(file, weights_only=True)
    except pickle.UnpicklingError:
        return False
    return True
