"""What an engine keeps of each event and each attached handler."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fsm_engine.events.edges import Edge, Exit
from fsm_engine.events.events import AnyEvent, Event, without_filter
from fsm_engine.events.filters import Filter
from fsm_engine.graph.code import Payload

Handler = Callable[..., Any]
Key = Event | Edge | Exit
"""What handlers are attached to: an event, an edge, or an exit."""


class HandlerEntry:
    """One handler attached to one event.

    Attributes:
        gives: what the handler is called with before its own arguments: whether the engine, and whether the
            event's payload.
        parts: what its call refers to, as names: the handler, its arguments, the constants of its filter.
        shape: what its call looks like, the objects left out; equal shapes have equal text.
        since: the count of its event when it was attached; None before its first run.
        passed: how often its filter let a firing through in this run.
        value: what its filter was given last.
        warned: whether the log says already that its filter lets nothing through.
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

    def __init__(self, event: AnyEvent, handler: Handler, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.event = without_filter(event)
        self.filter: Filter | None = None if isinstance(event, str) else event.filter
        self.priority = 0 if isinstance(event, str) else event.priority
        self.handler, self.args, self.kwargs = handler, args, kwargs
        self.arguments = (True, True)
        self.pass_count = self.count_when_attached = self.last_value = 0
        self.has_warned = False
        self.shape: tuple[Any, ...] = ()
        self.part_names: tuple[str, ...] = ()

    def set_arguments(self, gives: tuple[bool, bool]) -> None:
        """Fix how the handler is called, and so the shape of its call."""
        self.arguments = gives
        self.part_names = tuple(self._bound_by_name())
        self.shape = (gives, self.part_names)

    @property
    def bound_objects(self) -> tuple[Any, ...]:
        """The objects of `parts`; made when asked for, because one is the attachment itself."""
        return tuple(self._bound_by_name().values())

    def _bound_by_name(self) -> dict[str, Any]:
        used: dict[str, Any] = {"handler": self.handler}
        if self.args:
            used["args"] = self.args
        if self.kwargs:
            used["kwargs"] = self.kwargs
        if self.filter is not None:
            used["handler_entry"] = self
            used.update(_constants(self.filter))
        return used


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
"""Makes something of a handler that is called in its place, to measure it; told whether with the engine alone."""

Firing = tuple[Callable[..., None], Callable[..., None], list[Any]]
"""The functions that call handlers, without a payload and with one, and the objects they refer to."""


class EventEntry:
    """All that an engine keeps of one event.

    Attributes:
        attached: the attachments in the order in which they are called.
        fired: how often the event was fired in this run; for an event of the lifecycle, since somebody listens.
        callback: the event, if it is no phase of the lifecycle.
        moves: whether it is a phase that is entered by firing.
        counter: the attribute of the state that filters are given; None for `fired` itself.
        fire: what calls the handlers when the event is fired by hand; None until it is needed.
    """

    __slots__ = ("callback_event", "counter", "event", "fire", "fire_count", "handlers", "is_fired_phase", "payload")

    def __init__(self, event: Key, counter: str | None, payload: Payload, callback: Event | None = None) -> None:
        self.event, self.counter, self.payload, self.callback_event = event, counter, payload, callback
        self.is_fired_phase = False
        self.handlers: tuple[HandlerEntry, ...] = ()
        self.fire_count = 0
        self.fire: Firing | None = None

    @property
    def shape(self) -> tuple[Any, ...]:
        """What the calls of all handlers look like."""
        return tuple([handler_entry.shape for handler_entry in self.handlers])

    def bound_objects(self, around: Iterable[HandlerWrapper] = (), by_hand: bool = True) -> list[Any]:
        """Return the objects that the calls refer to: this slot, then those of each attachment, its handler first.

        What each of `around` makes of a handler stands in for it; fired `by_hand`, it may be given anything.
        """
        objects: list[Any] = [self]
        more = by_hand or self.payload.positional or self.payload.keywords
        for handler_entry in self.handlers:
            handler = handler_entry.handler
            alone = handler_entry.arguments[0] and not (more or handler_entry.args or handler_entry.kwargs)
            for stand_in in around:
                handler = stand_in(handler_entry, handler, alone)
            objects += (handler, *handler_entry.bound_objects[1:])
        return objects

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__ if name != "fire"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self.fire = None
