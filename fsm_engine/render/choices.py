"""What users choose by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def choose(what: str, name: str, choices: Mapping[str, T]) -> T:
    """Return the choice of that name; `what` is the argument that it was given for.

    Raises:
        ValueError: there is none.
    """
    if name not in choices:
        raise ValueError(f"{what}={name!r} has to be one of {', '.join(map(repr, choices))}.")
    return choices[name]
