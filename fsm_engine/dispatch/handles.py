"""`RemovableEventHandle`: detaches what `Engine.add_event_handler` attached."""

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
    """Takes back what `Engine.add_event_handler` did, by `remove()` or as a context manager.

    It keeps neither the handler nor the engine alive. Entering returns the handle and attaches nothing, leaving
    removes; both may happen again and again.
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
            handler_entries = [a for event in events for a in engine._registry.entries_of(handler, event)]
        self._attachments = [weakref.ref(handler_entry) for handler_entry in handler_entries]

    def remove(self) -> None:
        """Detach what was attached; nothing happens if it is gone already, or the engine is."""
        engine = self.engine()
        gone = [handler_entry for ref in self._attachments if (handler_entry := ref()) is not None]
        if engine is not None and gone:
            engine._detach(gone)

    def __enter__(self) -> RemovableEventHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def _weak(handler: Handler) -> Callable[[], Handler | None]:
    try:
        return weakref.WeakMethod(handler) if inspect.ismethod(handler) else weakref.ref(handler)
    except TypeError:  # some objects, such as those with slots, cannot be referred to weakly
        return lambda: None
