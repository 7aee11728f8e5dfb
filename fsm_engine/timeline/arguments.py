"""Checks of arguments that several functions of this package take."""

from __future__ import annotations

from typing import Any


def check_positive_integer(name: str, value: Any, meaning: str) -> None:
    """Raise ValueError if the argument `name` is not a positive integer.

    Args:
        name: the name of the argument.
        value: the value that was passed.
        meaning: what the argument is, for the message: ``the number of ...``.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r} has to be a positive integer: {meaning}.")
