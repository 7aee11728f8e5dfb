"""Checks of state dicts before they are loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def check_keys(state_dict: Any, keys: Iterable[str]) -> None:
    """Check that `state_dict` is a mapping that has all of `keys`.

    Raises:
        TypeError: `state_dict` is not a mapping.
        ValueError: a key is missing.
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Argument state_dict should be a dictionary, but given {type(state_dict)}")
    for key in keys:
        if key not in state_dict:
            raise ValueError(f"Required state attribute '{key}' is absent in provided state_dict '{list(state_dict)}'")
