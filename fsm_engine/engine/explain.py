"""Explanations of events and handlers: which handlers an event calls, and how often a handler was called."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tokenize import TokenError
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

from fsm_engine._util.syntax_trees import making_syntax_tree
from fsm_engine.dispatch.entries import HandlerEntry
from fsm_engine.dispatch.step_moves import entries_of_move
from fsm_engine.graph.transitions import Transition

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher
    from fsm_engine.events.events import AnyEvent


class HandlerDescription(NamedTuple):
    """A handler as an event calls it.

    Attributes:
        name: its name.
        conditions: its filter and its priority as text; empty if it has neither.
        place: the file and line of its definition.
    """

    name: str
    conditions: str
    place: str


class Attachment(NamedTuple):
    """A handler on one of its events, with the counts of the last run.

    Attributes:
        event: the event.
        conditions: the filter and the priority as text; empty if it has neither.
        fired: how often the event fired since the handler was attached.
        called: how often it called the handler.
        filter: the filter as text; None without one.
        counter: the name of the counter that the filter reads.
        last_value: the last value of that counter; None before the first.
    """

    event: str
    conditions: str
    fired: int
    called: int
    filter: str | None
    counter: str
    last_value: int | None

    @property
    def reason(self) -> str:
        """Why the handler was not called; empty if it was."""
        if not self.fired:
            return f"not called, because {self.event} has not fired since it was attached"
        return "" if self.called else f"not called, because no value passed the filter {self.filter}"

    @property
    def lines(self) -> list[str]:
        """The lines of a report."""
        conditions = f" ({self.conditions})" if self.conditions else ""
        lines = [f"on {self.event}{conditions}: fired {self.fired}, called {self.called}"]
        if self.filter is not None and self.fired:
            lines.append(f"  the last value of its {self.counter} was {self.last_value}")
        return lines + ([f"  {self.reason}"] if self.reason else [])


class Explanation(ABC):
    """The answer of `Engine.explain`: print it for a report. A notebook shows it as a table."""

    @abstractmethod
    def _html(self) -> str:
        """Return the content of the output of a notebook."""

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, str]:
        from fsm_engine._util import html

        return html.mimebundle(self.__str__, lambda: html.block(self._html()))


@dataclass(frozen=True, repr=False)
class EventExplanation(Explanation):
    """The handlers that an event calls.

    Attributes:
        event: the event.
        handlers: its handlers in the order of the calls.
    """

    event: str
    handlers: tuple[HandlerDescription, ...]

    def __str__(self) -> str:
        if not self.handlers:
            return f"{self.event} calls nothing: no handler is attached."
        lines = [f"{self.event} calls, in this order:"]
        for number, (name, conditions, place) in enumerate(self.handlers, 1):
            lines.append(f"  {number}. {name}{f' ({conditions})' if conditions else ''}  {place}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Explanation of {self.event}: {len(self.handlers)} handlers>"

    def _html(self) -> str:
        from fsm_engine._util.html import escape, table

        title = f'<p class="title">{escape(str(self).partition(chr(10))[0])}</p>'
        rows = [(str(number), *handler) for number, handler in enumerate(self.handlers, 1)]
        return title + (table(("", "handler", "filter, priority", "defined in"), rows) if rows else "")


@dataclass(frozen=True, repr=False)
class HandlerExplanation(Explanation):
    """How often each event of a handler has called it.

    Attributes:
        name: the name of the handler.
        place: the file and line of its definition.
        attachments: its events; empty if it is not attached.
    """

    name: str
    place: str
    attachments: tuple[Attachment, ...]

    def __str__(self) -> str:
        if not self.attachments:
            return (
                f"{self.name} is not attached to any event of this engine, so it is never called. "
                f"Attach it: engine.add_event_handler(event, handler)."
            )
        lines = [f"  {line}" for attachment in self.attachments for line in attachment.lines]
        return "\n".join([f"{self.name}  {self.place}", *lines])

    def __repr__(self) -> str:
        return f"<Explanation of {self.name}: attached to {len(self.attachments)} events>"

    def _html(self) -> str:
        from fsm_engine._util.html import escape, table

        title = f'<p class="title">{escape(str(self).partition(chr(10))[0])}</p>'
        columns = ("event", "filter, priority", "note", "fired", "called")
        rows = [
            (one.event, one.conditions, one.reason or _last_value(one), str(one.fired), str(one.called))
            for one in self.attachments
        ]
        return title + (table(columns, rows, left=3) if rows else "")


def _last_value(attachment: Attachment) -> str:
    return "" if attachment.filter is None else f"last {attachment.counter}: {attachment.last_value}"


def explain_event(engine: EventDispatcher, event: AnyEvent) -> EventExplanation:
    """Return the handlers of `event` in the order of the calls, for `Engine.explain`."""
    entry = engine._registry.entry(event)
    return EventExplanation(str(entry.event), tuple(map(describe_handler, entry.handlers)))


def describe_handler(handler_entry: HandlerEntry) -> HandlerDescription:
    """Return the name of a handler, its filter and priority as text, and the file and line of its definition."""
    handler = handler_entry.handler
    return HandlerDescription(name_of_handler(handler), _conditions(handler_entry), source_place(handler))


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


def explain_handler(engine: EventDispatcher, handler: Callable[..., Any]) -> HandlerExplanation:
    """Return how often each event of `handler` fired and called it, for `Engine.explain`."""
    attachments = [attachment_of(engine, handler_entry) for handler_entry in engine._registry.entries_of(handler)]
    return HandlerExplanation(name_of_handler(handler), source_place(handler), tuple(attachments))


def attachment_of(engine: EventDispatcher, handler_entry: HandlerEntry) -> Attachment:
    """Return the event of an attached handler, and how often it called the handler."""
    entry = engine._registry.entries[handler_entry.event]
    fired = entry.fire_count - handler_entry.count_when_attached
    conditions, counter = _conditions(handler_entry), entry.counter or "number of firings"
    if handler_entry.filter is None:
        return Attachment(str(entry.event), conditions, fired, fired, None, counter, None)
    called, last = handler_entry.pass_count, handler_entry.last_value
    return Attachment(str(entry.event), conditions, fired, called, str(handler_entry.filter), counter, last)


def _conditions(handler_entry: HandlerEntry) -> str:
    parts = [] if handler_entry.filter is None else [str(handler_entry.filter)]
    if handler_entry.priority:
        parts.append(f"priority={handler_entry.priority}")
    return ", ".join(parts)


def name_of_handler(handler: Any) -> str:
    """Return the display name of a handler."""
    handler = _unwrap_partial(handler)
    return str(getattr(handler, "__qualname__", None) or getattr(handler, "__name__", type(handler).__qualname__))


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
            file = inspect.getsourcefile(definition) or getattr(_code_of(definition), "co_filename", None)
            if file is not None:
                return f"{file}:{_first_line(definition)}"
        except (TypeError, OSError, SyntaxError, TokenError):  # a class, whose line is looked for in the file
            continue
    return "(built in)"


def _code_of(definition: Any) -> CodeType | None:
    code = getattr(definition, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _first_line(definition: Any) -> int:
    if (code := _code_of(definition)) is not None:
        return code.co_firstlineno
    with making_syntax_tree:  # the thread of an inspector asks, too
        return inspect.getsourcelines(definition)[1]
