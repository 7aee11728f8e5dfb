"""The functions with which `fire_event` calls the handlers of an event."""

from __future__ import annotations

from collections.abc import Callable

from fsm_engine._util.compiled_functions import CompiledFunction, FunctionCache, compile_function
from fsm_engine.dispatch.entries import EventEntry
from fsm_engine.dispatch.handler_calls import names_of_calls, text_of_calls

_cache = FunctionCache()


def firing_for(entry: EventEntry, with_arguments: bool) -> Callable[..., None]:
    """Return ``fire(engine, entry, bound)``, which calls the handlers of `entry`.

    The function is ``fire(engine, entry, bound, args, kwargs)`` if `with_arguments`. `bound` is
    `EventEntry.bound_objects` without the entry, which stores this list and would otherwise refer to itself.
    """
    key = (with_arguments, entry.counter, entry.shape)
    return _cache.get(key, lambda: _compile_fire(entry, with_arguments)).function


def _compile_fire(entry: EventEntry, with_arguments: bool) -> CompiledFunction:
    names = ", ".join(names_of_calls("", entry.handlers)[1:])
    parameters, positional, keywords = (", args, kwargs", ["*args"], ["**kwargs"]) if with_arguments else ("", [], [])
    lines = [
        f"def fire(engine, entry, bound{parameters}):",
        f"({names},) = bound",
        *(["state = engine.state"] if entry.counter is not None else []),
        *text_of_calls("", entry, positional, keywords)[1:],  # fire_event counts the firing itself
    ]
    return compile_function("fire", "\n    ".join(lines) + "\n", {})
