"""The arguments of a handler call: whether the handler takes the engine and the payload of its event."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any

from fsm_engine._util.signatures import accepts, check_runs_when_called, parameter_names
from fsm_engine.dispatch.entries import EventEntry, Handler
from fsm_engine.events.events import CallableEventWithFilter
from fsm_engine.runtime.state import State

_PASS_ARGUMENTS = "Pass missing arguments to add_event_handler after the handler."
_FILTERS = ("every", "once", "before", "after", "event_filter", "priority")
_ENGINE_NAMES = ("engine", "trainer", "evaluator")


def handler_arguments(
    entry: EventEntry, handler: Handler, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[bool, bool]:
    """Return whether `handler` takes the engine, and whether it takes the payload, besides `args` and `kwargs`.

    The engine and a keyword payload are passed only if the signature accepts them. A positional payload is always
    passed: a handler of EXCEPTION_RAISED must take the exception.

    Raises:
        TypeError: `handler` is not callable, or a call does not run it: it is a coroutine or generator function.
        ValueError: `handler` does not accept the arguments of the call, or `kwargs` repeats a keyword of the payload.
    """
    if not callable(handler):
        shown = "State" if isinstance(handler, State) else repr(handler)
        raise TypeError(f"a handler of {entry.event} must be callable, got {shown}.{_hint(handler)}")
    if isinstance(handler, type) and (
        hasattr(handler, "attach") or any("__call__" in vars(b) for b in handler.__mro__)
    ):
        raise TypeError(
            f"the handler of {entry.event} is the class {handler.__name__}, so an event would only make an object of "
            f"it. Give an object, {handler.__name__}(...), or attach it with its own method if it has one."
        )
    check_runs_when_called(handler, "the handler")
    positional, keywords = entry.payload.positional, entry.payload.keywords
    for name in kwargs:
        if name in keywords:
            raise ValueError(
                f"{entry.event} passes the keyword argument {name!r} itself. Remove it from add_event_handler(...), "
                f"or rename it."
            )
    accepted = None if positional or keywords or args or kwargs else _positional_range(handler)
    if accepted is not None:
        return _simple_call(entry, handler, *accepted)
    payloads = (True, False) if keywords else (True,)
    for payload, engine in [(payload, engine) for payload in payloads for engine in (True, False)]:
        first = ("engine",) * engine + (positional if payload else ())
        if accepts(handler, *first, *args, **{**kwargs, **(keywords if payload else {})}):
            _warn_if_misread(entry, handler, engine, args)
            return (engine, payload)
    raise _call_error(entry, handler, args, kwargs)


def _hint(handler: object) -> str:
    if isinstance(handler, State):
        return " engine.run(...) has run at once. Give a function that calls it: lambda: engine.run(...)."
    if handler is None:
        return " Give the function itself: without (), which call it at once."
    if hasattr(handler, "attach"):
        return f" Attach it with its own method: {type(handler).__name__}(...).attach(engine)."
    if hasattr(handler, "step") and hasattr(handler, "get_last_lr"):
        return " Wrap a scheduler of torch: fsm_engine.handlers.LRScheduler(scheduler)."
    return ""


def _warn_if_misread(entry: EventEntry, handler: Handler, takes_engine: bool, args: Sequence[Any]) -> None:
    """Warn of a handler that does not get the engine, although its user seems to expect it."""
    if takes_engine:
        return
    if entry.payload.positional and not args and (names := parameter_names(handler)) and names[0] in _ENGINE_NAMES:
        warnings.warn(
            f"{_name(handler)} has one parameter, {names[0]!r}, which gets the exception of {entry.event}, not the "
            f"engine. Write def {getattr(handler, '__name__', 'handler')}({names[0]}, error).",
            stacklevel=5,
        )
    events = [
        argument for argument in args if isinstance(argument, CallableEventWithFilter) and argument != entry.event
    ]
    if events:
        joined = " | ".join(map(str, (entry.event, *events)))
        warnings.warn(
            f"{_name(handler)} gets {events[0]} as an argument in place of the engine. To attach it to several events, "
            f"join them: {joined}.",
            stacklevel=5,
        )


def _name(handler: Handler) -> str:
    return getattr(handler, "__qualname__", repr(handler))


def _positional_range(handler: Handler) -> tuple[int, float] | None:
    """Return how many positional arguments a plain function requires and how many it accepts at most.

    Return None for other callables, and for functions with required keyword-only arguments. This is a shortcut for
    the common case; inspecting a signature takes many times longer.
    """
    if type(handler) is not FunctionType or "__wrapped__" in handler.__dict__ or "__signature__" in handler.__dict__:
        return None
    code = handler.__code__
    if code.co_kwonlyargcount and len(handler.__kwdefaults__ or ()) < code.co_kwonlyargcount:
        return None
    required = code.co_argcount - len(handler.__defaults__ or ())
    return required, float("inf") if code.co_flags & inspect.CO_VARARGS else code.co_argcount


def _simple_call(entry: EventEntry, handler: Handler, required: int, most: float) -> tuple[bool, bool]:
    if required <= 1 <= most:
        return (True, True)
    if required == 0:
        return (False, True)
    raise _call_error(entry, handler, (), {})


def _call_error(entry: EventEntry, handler: Handler, args: Sequence[Any], kwargs: Mapping[str, Any]) -> ValueError:
    payload = [f"the event's {text.rpartition('.')[2]}" for text in entry.payload.positional]
    given = ", ".join(
        ["the engine, if it takes one", *payload, *map(repr, args), *(f"{k}={kwargs[k]!r}" for k in kwargs)]
    )
    filters = ", ".join(f"{name}={value!r}" for name, value in kwargs.items() if name in _FILTERS)
    fix = f"Did you mean {entry.event}({filters})?" if filters else _PASS_ARGUMENTS
    return ValueError(
        f"Error adding {getattr(handler, '__qualname__', handler)!r} to {entry.event}: takes parameters "
        f"{parameter_names(handler)} but will be called with ({given}). {fix}"
    )
