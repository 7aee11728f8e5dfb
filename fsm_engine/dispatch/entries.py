"""`EventEntry` and `HandlerEntry`: the records that an engine keeps of its events and their handlers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from fsm_engine.events.edges import Edge, Exit
from fsm_engine.events.events import AnyEvent, Event
from fsm_engine.events.filters import Filter
from fsm_engine.graph.code import Payload

_PRIORITY = attrgetter("priority")

Handler = Callable[..., Any]
Key = Event | Edge | Exit
"""The key of an event entry: an event, an edge, or an exit, without its filter."""


class HandlerEntry:
    """One handler attached to one event.

    Attributes:
        event: the event without its filter.
        filter: the filter; None if every firing calls the handler.
        priority: entries with a higher priority are called first.
        arguments: whether the call passes the engine, and whether it passes the payload of the event.
        part_names: names of the objects that the call refers to: the handler, its arguments, the filter's constants.
        shape: the form of the call without these objects. Equal shapes share generated code.
        count_when_attached: the event's `fire_count` when the handler was attached; 0 after a new run has started.
        pass_count: how many firings in this run passed the filter.
        last_value: the value that the filter received last.
        has_warned: True once the log has a warning that the filter never passes.
    """

    __slots__ = (
        "__weakref__",
        "args",
        "arguments",
        "count_when_attached",
        "event",
        "filter",
        "handler",
        "has_warned",
        "kwargs",
        "last_value",
        "part_names",
        "pass_count",
        "priority",
        "shape",
    )

    def __init__(
        self, event: AnyEvent, key: Key, handler: Handler, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.event = key
        self.filter: Filter | None = None if isinstance(event, str) else event.filter
        self.priority = 0 if isinstance(event, str) else event.priority
        self.handler, self.args, self.kwargs = handler, args, kwargs
        self.arguments = (True, True)
        self.pass_count = self.count_when_attached = self.last_value = 0
        self.has_warned = False
        self.shape: tuple[Any, ...] = ()
        self.part_names: tuple[str, ...] = ()

    def set_arguments(self, arguments: tuple[bool, bool]) -> None:
        """Set `arguments`, and the shape of the call that follows from them."""
        self.arguments = arguments
        self.part_names = tuple(self._bound_by_name())
        self.shape = (arguments, self.part_names)

    @property
    def takes_only_engine(self) -> bool:
        """True if every call without arguments of `fire_event` passes the engine and nothing else, without a filter."""
        return self.arguments[0] and len(self.part_names) == 1

    @property
    def bound_objects(self) -> tuple[Any, ...]:
        """The objects of `part_names`. They are not stored: one is this entry, which would then refer to itself."""
        return tuple(self._bound_by_name().values())

    def _bound_by_name(self) -> dict[str, Any]:
        bound: dict[str, Any] = {"handler": self.handler}
        if self.args:
            bound["args"] = self.args
        if self.kwargs:
            bound["kwargs"] = self.kwargs
        if self.filter is not None:
            bound["handler_entry"] = self
            bound.update(_constants(self.filter))
        return bound


def _constants(given: Filter) -> dict[str, Any]:
    constants: dict[str, Any] = {}
    if given.once is not None:
        constants.update({"once": given.once[0]} if len(given.once) == 1 else {"among": given.once})
    if given.bounded:
        constants["after"] = given.after or 0
    if given.before is not None:
        constants["before"] = given.before
    if given.every is not None:
        constants["every"] = given.every
    if given.event_filter is not None:
        constants["filter"] = given.event_filter
    return constants


HandlerWrapper = Callable[[HandlerEntry, Handler, bool], Handler]
"""A function that returns the callable to call instead of a handler, for example to time it.

It is called as ``wrapper(handler_entry, handler, engine_only)``; `engine_only` is True if the engine is the only
argument of every call.
"""

Firing = tuple[Callable[..., None], Callable[..., None], list[Any], Handler | None]
"""The functions that call the handlers of an event without and with arguments, the objects that they refer to, and the
handler to call instead, if it is the only one and the engine is its only argument."""


class EventEntry:
    """One event, edge or exit, with its handlers.

    Attributes:
        event: the event, edge or exit.
        counter: the state attribute whose value filters receive; None if they receive `fire_count`.
        payload: the arguments that handlers receive besides the engine.
        callback_event: the event, if it is not a phase of the lifecycle; None if it is.
        is_fired_phase: True for a phase that is entered by firing its event.
        attached: the handler entries in the order in which they were attached, as the keys of a dictionary: adding and
            removing one is atomic, so no change of another thread is lost.
        fire_count: how often the event was fired in this run. A run does not count phases, edges and exits that have
            no handlers.
        fire: the functions that `fire_event` calls; None until they are needed.
    """

    __slots__ = ("attached", "callback_event", "counter", "event", "fire", "fire_count", "is_fired_phase", "payload")

    def __init__(self, event: Key, counter: str | None, payload: Payload, callback_event: Event | None = None) -> None:
        self.event, self.counter, self.payload, self.callback_event = event, counter, payload, callback_event
        self.is_fired_phase = False
        self.attached: dict[HandlerEntry, None] = {}
        self.fire_count = 0
        self.fire: Firing | None = None

    @property
    def handlers(self) -> tuple[HandlerEntry, ...]:
        """The handler entries in the order in which they are called."""
        attached = list(self.attached)  # an atomic copy
        if len(attached) > 1:
            attached.sort(key=_PRIORITY, reverse=True)
        return tuple(attached)

    @property
    def shape(self) -> tuple[Any, ...]:
        """The shapes of all handler calls."""
        return tuple([handler_entry.shape for handler_entry in self.handlers])

    def bound_objects(self, wrappers: Iterable[HandlerWrapper] = (), takes_arguments: bool = True) -> list[Any]:
        """Return the objects that the calls refer to: this entry, then the bound objects of each handler entry.

        Args:
            wrappers: each of them wraps every handler, the first one innermost.
            takes_arguments: True if the calls may pass arguments of `fire_event`.
        """
        objects: list[Any] = [self]
        takes_more = takes_arguments or self.payload.positional or self.payload.keywords
        for handler_entry in self.handlers:
            handler = handler_entry.handler
            engine_only = handler_entry.arguments[0] and not (takes_more or handler_entry.args or handler_entry.kwargs)
            for wrapper in wrappers:
                handler = wrapper(handler_entry, handler, engine_only)
            objects.append(handler)
            if len(handler_entry.part_names) > 1:
                objects += handler_entry.bound_objects[1:]
        return objects

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        return None, {**{name: getattr(self, name) for name in self.__slots__}, "fire": None}
