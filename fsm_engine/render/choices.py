"""Values that users choose by name, such as themes and formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def choose(argument: str, name: str, choices: Mapping[str, T]) -> T:
    """Return the choice called `name`, which was passed as `argument`.

    Raises:
        ValueError: no choice has that name; the message lists the legal names.
    """
    if name not in choices:
        raise ValueError(f"{argument}={name!r} must be one of {', '.join(map(repr, choices))}.")
    return choices[name]
