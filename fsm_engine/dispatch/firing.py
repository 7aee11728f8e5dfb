"""Functions that call the handlers of an event when it is fired by hand."""

from __future__ import annotations

from collections.abc import Callable

from fsm_engine._util.compiled_functions import CompiledFunction, FunctionCache, compile_function
from fsm_engine.dispatch.entries import EventEntry
from fsm_engine.dispatch.handler_calls import names_of_calls, text_of_calls

_cache = FunctionCache()


def firing_for(entry: EventEntry, with_payload: bool) -> Callable[..., None]:
    """Return ``fire(engine, slot, bound)`` that calls the handlers of `slot`, or ``fire(..., given, more)``.

    `bound` is `EventEntry.bound_objects` without the slot itself, which keeps it.
    """
    key = (with_payload, entry.counter, entry.shape)
    return _cache.get(key, lambda: _compile_fire(entry, with_payload)).function


def _compile_fire(entry: EventEntry, with_payload: bool) -> CompiledFunction:
    names = ", ".join(names_of_calls("", entry.handlers)[1:])
    positional, keywords = (["*given"], ["**more"]) if with_payload else ([], [])
    lines = [
        "def fire(engine, entry, bound, given=(), more=None):",
        f"({names},) = bound",
        *(["state = engine.state"] if entry.counter is not None else []),
        *text_of_calls("", entry, positional, keywords)[1:],
    ]
    return compile_function("fire", "\n    ".join(lines) + "\n", {})
