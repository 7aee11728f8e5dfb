"""Check whether a function can be called with given arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def call_error(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str | None:
    """Return the reason why `function` cannot be called with these arguments; None if it can or has no signature.

    Some built-in functions, and mocks of a function, have no signature.
    """
    if not callable(function):
        return f"{function!r} is not a callable object"
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return None
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        return str(error)
    return None


def accepts(function: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
    """Return True if `function` can be called with these arguments or has no signature."""
    return call_error(function, *args, **kwargs) is None


def parameter_names(function: Callable[..., Any]) -> list[str]:
    """Return the names of the parameters of `function`."""
    return list(inspect.signature(function).parameters)
