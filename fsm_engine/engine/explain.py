"""Explanations of events and handlers: which handlers an event calls, and how often a handler was called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tokenize import TokenError
from types import CodeType
from typing import TYPE_CHECKING, Any

from fsm_engine.dispatch.entries import HandlerEntry
from fsm_engine.dispatch.step_moves import entries_of_move
from fsm_engine.graph.transitions import Transition

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher
    from fsm_engine.events.events import AnyEvent


def explain_event(engine: EventDispatcher, event: AnyEvent) -> str:
    """Return a list of the handlers of `event` in the order of the calls, for `Engine.explain`."""
    entry = engine._registry.entry(event)
    if not entry.handlers:
        return f"{entry.event} calls nothing: no handler is attached."
    lines = [f"{entry.event} calls, in this order:"]
    for number, handler_entry in enumerate(entry.handlers, 1):
        name, conditions, place = describe_handler(handler_entry)
        lines.append(f"  {number}. {name}{f' ({conditions})' if conditions else ''}  {place}")
    return "\n".join(lines)


def describe_handler(handler_entry: HandlerEntry) -> tuple[str, str, str]:
    """Return the name of a handler, its filter and priority as text, and the file and line of its definition."""
    return name_of_handler(handler_entry.handler), _conditions(handler_entry), source_place(handler_entry.handler)


def entries_of(engine: EventDispatcher, event: AnyEvent) -> tuple[HandlerEntry, ...]:
    """Return the entries of the handlers of `event` in the order of the calls."""
    return engine._registry.entry(event).handlers


def handlers_of_move(engine: EventDispatcher, transition: Transition) -> list[HandlerEntry]:
    """Return the entries of the handlers of exits and edges that `transition` calls, in the order of the calls."""
    entries = entries_of_move(engine._registry, engine._graph, transition)
    return [handler_entry for entry in entries for handler_entry in entry.handlers]


def handler_labels(engine: EventDispatcher, event: AnyEvent) -> list[str]:
    """Return the name, file and line of each handler of `event`, in the order of the calls."""
    handlers = [handler_entry.handler for handler_entry in entries_of(engine, event)]
    return [f"{name_of_handler(handler)}  {Path(source_place(handler)).name}" for handler in handlers]


def explain_handler(engine: EventDispatcher, handler: Callable[..., Any]) -> str:
    """Return a report of how often each event of `handler` fired and called it, for `Engine.explain`."""
    handler_entries = engine._registry.entries_of(handler)
    if not handler_entries:
        return (
            f"{name_of_handler(handler)} is not attached to any event of this engine, so it is never called. "
            f"Attach it: engine.add_event_handler(event, handler)."
        )
    lines = [f"{name_of_handler(handler)}  {source_place(handler)}"]
    lines += [f"  {line}" for handler_entry in handler_entries for line in _handler_report(engine, handler_entry)]
    return "\n".join(lines)


def _handler_report(engine: EventDispatcher, handler_entry: HandlerEntry) -> list[str]:
    entry = engine._registry.entries[handler_entry.event]
    fired = entry.fire_count - handler_entry.count_when_attached
    called = fired if handler_entry.filter is None else handler_entry.pass_count
    conditions = _conditions(handler_entry)
    lines = [f"on {entry.event}{f' ({conditions})' if conditions else ''}: fired {fired}, called {called}"]
    if handler_entry.filter is not None and fired:
        counter = entry.counter or "number of firings"
        lines.append(f"  the last value of its {counter} was {handler_entry.last_value}")
    if not fired:
        lines.append(f"  not called, because {entry.event} has not fired since it was attached")
    elif not called:
        lines.append(f"  not called, because no value passed the filter {handler_entry.filter}")
    return lines


def _conditions(handler_entry: HandlerEntry) -> str:
    parts = [] if handler_entry.filter is None else [str(handler_entry.filter)]
    if handler_entry.priority:
        parts.append(f"priority={handler_entry.priority}")
    return ", ".join(parts)


def name_of_handler(handler: Any) -> str:
    """Return the display name of a handler."""
    handler = _unwrap_partial(handler)
    return getattr(handler, "__qualname__", type(handler).__qualname__)


def _unwrap_partial(handler: Any) -> Any:
    """Return the function of a `functools.partial`, any other handler unchanged."""
    return handler.func if isinstance(handler, partial) else handler


def source_place(handler: Any) -> str:
    """Return the file and line of the definition of `handler`, or of its class if it is a callable object.

    The line is the one that the running code was compiled from, also if the file has changed since.
    """
    handler = inspect.unwrap(_unwrap_partial(handler))
    for definition in (handler, type(handler)):
        try:
            if file := inspect.getsourcefile(definition):
                return f"{file}:{_first_line(definition)}"
        except (TypeError, OSError, SyntaxError, TokenError):  # a class, whose line is looked for in the file
            continue
    return "(built in)"


def _first_line(definition: Any) -> int:
    code = getattr(definition, "__code__", None)
    return code.co_firstlineno if isinstance(code, CodeType) else inspect.getsourcelines(definition)[1]
