"""Events: what a run announces, and how a handler says which announcements it wants.

Names and calls follow pytorch-ignite's events, with one difference of meaning: an event is itself.
Members of two enums that happen to share a name are two events.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, EnumMeta
from typing import TYPE_CHECKING, Any

from fsm_engine.events.filters import Filter, make_filter
from fsm_engine.events.scopes import Scope

if TYPE_CHECKING:
    from fsm_engine.events.edges import Edge, Exit


class CallableEventWithFilter:
    """An event together with a filter and a priority: what ``Events.X(every=5)`` returns.

    Every member of an `EventEnum` is one as well, with no filter and priority 0. Two are equal when their
    event is; filter and priority do not count. A string is equal to an event of that name.
    """

    event: EventEnum | Edge | Exit
    filter: Filter | None = None
    priority: int = 0

    @property
    def name(self) -> str:
        """The event's name, such as ``"EPOCH_STARTED"``."""
        return self.event.name

    def __call__(
        self,
        event_filter: Any = None,
        every: Any = None,
        once: Any = None,
        before: Any = None,
        after: Any = None,
        *,
        priority: int | None = None,
    ) -> CallableEventWithFilter:
        """Make a copy of this event that only some firings match; the event itself stays as it is.

        Args:
            event_filter: called with (engine, value of the event's counter); true lets the firing through.
            every: every so many firings; counted from the first one after `after`.
            once: at this count, or at each count of a list or tuple.
            before: only below this count.
            after: only above this count.
            priority: handlers with a higher priority are called first; the default is 0, and ties are
                called in the order in which they were attached.

        Raises:
            ValueError: no argument at all, `once` beside `every`, `before` or `after`, an illegal number.
            TypeError: an `event_filter` that cannot be called, a priority that is not an integer.
        """
        if event_filter is every is once is before is after is priority is None:
            raise ValueError(
                f"Only one of the input arguments should be specified, except before, after and every; "
                f"{self}() got none. Give every=, once=, before=, after=, event_filter= or priority=, "
                f"or use {self} itself."
            )
        if priority is not None and not isinstance(priority, int):
            raise TypeError(f"Argument priority should be an integer, got {priority!r}")
        given = make_filter(event_filter, every, once, before, after)
        kept = event_filter is every is once is before is after is None  # only the priority is new
        return _FilteredEvent(
            self.event, self.filter if kept else given, self.priority if priority is None else priority
        )

    def like(self, other: CallableEventWithFilter) -> CallableEventWithFilter:
        """Return this event with the filter and the priority of `other`."""
        plain = other.filter is None and not other.priority
        return self if plain else _FilteredEvent(self.event, other.filter, other.priority)

    def __or__(self, other: Any) -> EventsList:
        return EventsList(self).__or__(other)

    def __rshift__(self, target: Any) -> Edge:
        from fsm_engine.events.edges import Edge

        return Edge(self, target)  # type: ignore[arg-type]  # checked there

    def __rrshift__(self, source: Any) -> Edge:
        from fsm_engine.events.edges import Edge

        return Edge(source, self)  # type: ignore[arg-type]  # checked there


class _FilteredEvent(CallableEventWithFilter):
    def __init__(self, event: EventEnum | Edge | Exit, given: Filter | None, priority: int) -> None:
        self.event, self.filter, self.priority = event, given, priority

    @property
    def value(self) -> Any:
        """The value of the event's enum member."""
        return self.event.value  # type: ignore[union-attr]

    def __eq__(self, other: object) -> bool:
        return self.event == other

    def __hash__(self) -> int:
        return hash(self.event)

    def __str__(self) -> str:
        plain = str(self.event) if isinstance(self.event, EventEnum) else f"({self.event})"
        filtered = "" if self.filter is None else f"filter={self.filter}"
        ordered = f"priority={self.priority}" if self.priority else ""
        given = ", ".join(part for part in (filtered, ordered) if part)
        return f"{plain}({given})" if given else str(self.event)

    __repr__ = __str__


class _EventEnumMeta(EnumMeta):
    def __new__(metacls, name: str, bases: Any, namespace: Any, **kwargs: Any) -> Any:
        cls: Any = super().__new__(metacls, name, bases, namespace, **kwargs)
        for alias, member in cls.__members__.items():
            if alias != member.name:
                raise ValueError(
                    f"{name}.{alias} has the value {member.value!r} of {name}.{member.name}, which would make "
                    f"them one event under two names. Give {alias} a value of its own."
                )
        return cls


class EventEnum(CallableEventWithFilter, Enum, metaclass=_EventEnumMeta):
    """The base of users' events: ``class BackpropEvents(EventEnum): BACKWARD_STARTED = "backward_started"``.

    Each member is an event: it can be registered on an engine, called to filter it, joined with ``|``.

    Raises:
        ValueError: when the class is made, if two members have the same value.
    """

    @property
    def event(self) -> EventEnum:  # type: ignore[override]
        """The event itself, without filter and priority."""
        return self

    @property
    def name(self) -> str:
        """The member's name."""
        return self._name_

    @property
    def value(self) -> Any:
        """The member's value."""
        return self._value_

    def __eq__(self, other: object) -> bool:
        if isinstance(other, CallableEventWithFilter):
            return self is other.event
        return self._name_ == other if isinstance(other, str) else NotImplemented

    # Identity is what an event is, and the C function keeps look-ups at dict speed: Enum's own costs more
    # than the look-up.
    __hash__ = object.__hash__

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self._name_}"

    __repr__ = __str__


class Events(EventEnum):
    """The events of the training lifecycle; each is announced when the phase of its name is entered.

    `fsm_engine.Lifecycle.training` has the order as a graph; ``print(engine.lifecycle)`` shows it.
    """

    STARTED = "started"
    EPOCH_STARTED = "epoch_started"
    GET_BATCH_STARTED = "get_batch_started"
    GET_BATCH_COMPLETED = "get_batch_completed"
    ITERATION_STARTED = "iteration_started"
    ITERATION_COMPLETED = "iteration_completed"
    EPOCH_COMPLETED = "epoch_completed"
    COMPLETED = "completed"
    DATALOADER_STOP_ITERATION = "dataloader_stop_iteration"
    EXCEPTION_RAISED = "exception_raised"
    TERMINATE = "terminate"
    TERMINATE_SINGLE_EPOCH = "terminate_single_epoch"
    INTERRUPT = "interrupt"
    RESUMED = "resumed"


class EventsList:
    """Events joined with ``|``: a handler attached to the list is attached to each of them.

    Order and repetitions are kept. Joining makes a new list. Scopes may be in it for `Engine.on_exit`.

    Raises:
        TypeError: for anything that is no event. A string is refused too: register its event on each.
    """

    def __init__(self, *events: CallableEventWithFilter | Scope) -> None:
        for event in events:
            if not isinstance(event, (CallableEventWithFilter, Scope)):
                raise TypeError(
                    f"Argument event should be Events or CallableEventWithFilter, got {event!r}. "
                    f"Only events can be joined with |: members of Events or of an EventEnum, edges such as A >> B, "
                    f"filtered or not."
                )
        self._events = events

    def __or__(self, other: Any) -> EventsList:
        more = other._events if isinstance(other, EventsList) else (other,)
        return EventsList(*self._events, *more)

    def __rshift__(self, target: Any) -> Edge:
        from fsm_engine.events.edges import Edge

        return Edge(self, target)  # type: ignore[arg-type]  # refused there, with the reason

    def __len__(self) -> int:
        return len(self._events)

    def __getitem__(self, index: int) -> Any:
        return self._events[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._events)

    def __repr__(self) -> str:
        return " | ".join(map(str, self._events))


Event = EventEnum | str
"""An event as an engine keeps it: an enum member, or a string that was registered as one."""

AnyEvent = CallableEventWithFilter | str
"""An event as a user names it: `Event`, an edge, an exit, or one of them with a filter or a priority."""


def without_filter(event: AnyEvent) -> Event | Edge | Exit:
    """Return `event` without its filter and priority.

    Raises:
        TypeError: if it is no event at all.
    """
    if isinstance(event, str):
        return event
    if not isinstance(event, CallableEventWithFilter):
        raise TypeError(f"{event!r} is no event. {_event_hint(event)}")
    return event.event


def _event_hint(thing: Any) -> str:
    if isinstance(thing, Scope):
        return "It is a scope, and only the leaving of a scope is announced: use engine.on_exit(scope)."
    if hasattr(thing, "edges"):
        edges = " | ".join(f"({edge})" for edge in thing.edges)
        return f"It is a path of several edges: name one of them, or join them, {edges}."
    return (
        "Give a member of Events or of an EventEnum, filtered or not, an edge such as A >> B, or a string that was "
        "registered as an event."
    )


def is_same(one: Any, other: Any) -> bool:
    """Say whether two ends of edges are the same: a string is equal to the event of that name, but is another end."""
    return one is other or (type(one) is type(other) and one == other)


def name_of(event: Event) -> str:
    """Return the bare name of `event`: ``STARTED`` for `Events.STARTED`, a string as it is."""
    return event if isinstance(event, str) else event.name
