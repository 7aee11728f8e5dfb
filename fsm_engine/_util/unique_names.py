"""Unique names: the second ``score`` becomes ``score_2``."""

from __future__ import annotations

from itertools import chain, count


def unique_name(wanted: str, taken: set[str], separator: str) -> str:
    """Return `wanted`, with a number appended if it is in `taken`, and add the result to `taken`."""
    names = chain([wanted], (f"{wanted}{separator}{number}" for number in count(2)))
    name = next(one for one in names if one not in taken)
    taken.add(name)
    return name
