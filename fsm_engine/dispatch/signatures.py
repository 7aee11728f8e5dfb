"""How a handler is called: whether it takes the engine and the payload of its event."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any

from fsm_engine._util.signatures import accepts, parameter_names
from fsm_engine.dispatch.entries import EventEntry, Handler


def handler_arguments(
    entry: EventEntry, handler: Handler, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[bool, bool]:
    """Find out what `handler` takes before its own arguments: (the engine, the event's payload).

    The engine is given where there is room for it, and so is a payload of keywords. A positional payload is
    always given: whoever listens to EXCEPTION_RAISED has to take the exception.

    Raises:
        TypeError: if `handler` cannot be called at all.
        ValueError: if it cannot be called with what it would get, or is given what the event hands over.
    """
    if not callable(handler):
        raise TypeError(
            f"a handler of {entry.event} has to be callable, got {handler!r}. "
            f"If it has an attach method, call that: handler.attach(engine)."
        )
    positional, keywords = entry.payload.positional, entry.payload.keywords
    twice = [name for name in kwargs if name in keywords]
    if twice:
        raise ValueError(f"{entry.event} hands {twice[0]} over itself. Leave it out, or give it another name.")
    simple = None if positional or keywords or args or kwargs else _positional_range(handler)
    if simple is not None:
        return _simple_call(entry, handler, simple)
    payloads = (True, False) if keywords else (True,)
    for payload, engine in [(payload, engine) for payload in payloads for engine in (True, False)]:
        first = ("engine",) * engine + (positional if payload else ())
        if accepts(handler, *first, *args, **{**kwargs, **(keywords if payload else {})}):
            return (engine, payload)
    raise _call_error(entry, handler, args, kwargs)


def _positional_range(handler: Handler) -> tuple[int, float] | None:
    """Return how many positional arguments a plain function needs and takes, None if it is no plain function."""
    if type(handler) is not FunctionType or "__wrapped__" in handler.__dict__ or "__signature__" in handler.__dict__:
        return None
    code = handler.__code__
    if code.co_kwonlyargcount and len(handler.__kwdefaults__ or ()) < code.co_kwonlyargcount:
        return None
    needed = code.co_argcount - len(handler.__defaults__ or ())
    return needed, float("inf") if code.co_flags & inspect.CO_VARARGS else code.co_argcount


def _simple_call(entry: EventEntry, handler: Handler, room: tuple[int, float]) -> tuple[bool, bool]:
    needed, taken = room
    if needed <= 1 <= taken:
        return (True, True)
    if needed == 0:
        return (False, True)
    raise _call_error(entry, handler, (), {})


def _call_error(entry: EventEntry, handler: Handler, args: Sequence[Any], kwargs: Mapping[str, Any]) -> ValueError:
    payload = [f"the event's {text.rpartition('.')[2]}" for text in entry.payload.positional]
    given = ", ".join(
        ["the engine, if it takes one", *payload, *map(repr, args), *(f"{k}={kwargs[k]!r}" for k in kwargs)]
    )
    return ValueError(
        f"Error adding {getattr(handler, '__qualname__', handler)!r} to {entry.event}: takes parameters "
        f"{parameter_names(handler)} "
        f"but will be called with ({given}). Give the missing ones to add_event_handler behind the handler."
    )
