"""`RemovableEventHandle`: detaches the handlers that one call of `Engine.add_event_handler` attached."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fsm_engine.dispatch.entries import Handler, HandlerEntry
from fsm_engine.events.events import AnyEvent, EventsList

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher


class RemovableEventHandle:
    """Detaches a handler by `remove()`, or at the end of a ``with`` block.

    It refers to the handler and the engine weakly. Entering the block returns the handle and attaches nothing. The
    handle can be removed, entered and left any number of times.

    Attributes:
        event_name: the event, or the list of events.
        handler: a function that returns the handler, or None if it no longer exists or cannot be referred to weakly.
        engine: a function that returns the engine, or None if it no longer exists.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> handle = trainer.add_event_handler(Events.STARTED, print)
        >>> handle.remove()
        >>> trainer.has_event_handler(print)
        False
    """

    def __init__(
        self,
        event_name: AnyEvent | EventsList,
        handler: Handler,
        engine: EventDispatcher,
        handler_entries: Sequence[HandlerEntry] | None = None,
    ) -> None:
        self.event_name = event_name
        self.handler: Callable[[], Handler | None] = _weak(handler)
        self.engine: Callable[[], EventDispatcher | None] = weakref.ref(engine)
        if handler_entries is None:
            events = event_name if isinstance(event_name, EventsList) else [event_name]
            handler_entries = [entry for event in events for entry in engine._registry.entries_of(handler, event)]
        self._handler_entries = [weakref.ref(entry) for entry in handler_entries]

    def remove(self) -> None:
        """Detach the handler. Do nothing if it is detached already, or if the engine no longer exists."""
        engine = self.engine()
        handler_entries = [entry for ref in self._handler_entries if (entry := ref()) is not None]
        if engine is not None and handler_entries:
            engine._detach(handler_entries)

    def __enter__(self) -> RemovableEventHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def _weak(handler: Handler) -> Callable[[], Handler | None]:
    try:
        return weakref.WeakMethod(handler) if inspect.ismethod(handler) else weakref.ref(handler)
    except TypeError:  # some objects, such as those with __slots__, do not support weak references
        return lambda: None
