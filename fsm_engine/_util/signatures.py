"""Check whether a function can be called with given arguments, and whether a call runs its code."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from types import FunctionType, MethodType
from typing import Any

_WRAPPERS = (partial, MethodType)
_DEFERRED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_KINDS = (
    (
        inspect.iscoroutinefunction,
        "a coroutine",
        "Use def instead of async def, or pass lambda *args: asyncio.run({}(*args)).",
    ),
    (inspect.isasyncgenfunction, "an async generator", "Use def and return instead of async def and yield."),
    (inspect.isgeneratorfunction, "a generator", "Use return instead of yield, or pass lambda *args: list({}(*args))."),
)


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


def check_runs_when_called(function: Any, role: str) -> None:
    """Check that a call of `function` runs its code, instead of creating a coroutine or a generator.

    Partial functions, bound methods and objects with ``__call__`` are checked, too. A decorated function is checked as
    it is, because its decorator may run the coroutine.

    Args:
        function: a callable object; other objects pass.
        role: the use of `function`, such as "the step", for the error.

    Raises:
        TypeError: `function` is a coroutine function, an async generator function or a generator function.
    """
    called = function
    while isinstance(called, _WRAPPERS):
        called = called.func if isinstance(called, partial) else called.__func__
    if type(called) is not FunctionType:  # not isinstance, because a mock may have the class of its spec
        called = type(called).__call__
    if type(called) is not FunctionType or not (called.__code__.co_flags & _DEFERRED or called.__dict__):
        return  # the common case, without the cost of inspect
    for is_kind, kind, fix in _KINDS:
        if is_kind(called):
            name = getattr(function, "__qualname__", repr(function))
            raise TypeError(
                f"{role} {name} is {kind} function: a call only creates {kind} and runs none of its code. "
                f"{fix.format(getattr(function, '__name__', 'function'))}"
            )
