"""Events, and the filters and priorities with which handlers are attached to them.

Names and calls follow pytorch-ignite's events, with one difference: events are compared by identity. Members of two
enums with the same name are two events.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import Enum, EnumMeta
from typing import TYPE_CHECKING, Any, NoReturn

from fsm_engine._util.suggestions import did_you_mean
from fsm_engine.events.filters import EventFilter, Filter, make_filter
from fsm_engine.events.scopes import Scope

if TYPE_CHECKING:
    from fsm_engine.events.edges import Edge, Exit


class CallableEventWithFilter:
    """An event with a filter and a priority; ``Events.X(every=5)`` returns one.

    Each member of an `EventEnum` is one, too, without filter and with priority 0. Instances are equal if their events
    are; filter and priority are not compared. A string equals an event of that name, but has another hash.

    Example:
        >>> first_epochs = Events.EPOCH_COMPLETED(before=3)
        >>> first_epochs == Events.EPOCH_COMPLETED, first_epochs.name
        (True, 'EPOCH_COMPLETED')
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
        event_filter: EventFilter | None = None,
        every: int | None = None,
        once: int | list[int] | tuple[int, ...] | None = None,
        before: int | None = None,
        after: int | None = None,
        *,
        priority: int | None = None,
        **unknown: NoReturn,
    ) -> CallableEventWithFilter:
        """Return this event with another filter or priority; the event itself does not change.

        A handler of the result is called only when the event's counter matches the filter. The filter replaces an
        earlier one.

        Args:
            event_filter: called with the engine and the value of the event's counter; returns True for a match.
            every: match each multiple of this number; with `before` or `after`, each such count from the first value
                after `after` on.
            once: match this value, or each value in a list or tuple.
            before: match only values below this bound.
            after: match only values above this bound.
            priority: handlers with a higher priority are called first, handlers with the same priority in the order in
                which they were attached; the default is 0.
            **unknown: none is allowed; the error for one names the nearest argument.

        Raises:
            ValueError: no argument is given, `once` is combined with `every`, `before` or `after`, a number is out of
                range, or `event_filter` does not accept two arguments.
            TypeError: `event_filter` is not callable, `priority` is not an integer, or an argument is unknown.
        """
        if unknown:
            raise _unknown_argument(self, *unknown)
        conditions: tuple[object, ...] = (event_filter, every, once, before, after)
        has_filter = any(condition is not None for condition in conditions)
        if not has_filter and priority is None:
            raise ValueError(
                f"Only one of the input arguments should be specified, except before, after and every; "
                f"{self}() got none. Give every=, once=, before=, after=, event_filter= or priority=, "
                f"or use {self} itself."
            )
        if priority is not None and not isinstance(priority, int):
            raise TypeError(f"Argument priority should be an integer, got {priority!r}")
        new_filter = make_filter(event_filter, every, once, before, after)
        if not has_filter:  # only the priority changes
            new_filter = self.filter
        return _FilteredEvent(self.event, new_filter, self.priority if priority is None else priority)

    def like(self, other: CallableEventWithFilter) -> CallableEventWithFilter:
        """Return this event with the filter and the priority of `other`."""
        is_plain = other.filter is None and not other.priority
        return self if is_plain else _FilteredEvent(self.event, other.filter, other.priority)

    def __or__(self, other: Any) -> EventsList:
        return EventsList(self).__or__(other)

    def __rshift__(self, target: Any) -> Edge:
        from fsm_engine.events.edges import Edge

        return Edge(self, target)  # type: ignore[arg-type]  # checked there

    def __rrshift__(self, source: Any) -> Edge:
        from fsm_engine.events.edges import Edge

        return Edge(source, self)  # type: ignore[arg-type]  # checked there


def _unknown_argument(event: CallableEventWithFilter, name: str, *_others: str) -> TypeError:
    arguments = ("event_filter", "every", "once", "before", "after", "priority")
    return TypeError(
        f"{event}() has no argument {name}=.{did_you_mean(name, {known: f'{known}=' for known in arguments})} "
        f"The arguments are {', '.join(arguments)}."
    )


class _FilteredEvent(CallableEventWithFilter):
    def __init__(self, event: EventEnum | Edge | Exit, event_filter: Filter | None, priority: int) -> None:
        self.event, self.filter, self.priority = event, event_filter, priority

    @property
    def value(self) -> Any:
        """The value of the event's enum member."""
        return self.event.value  # type: ignore[union-attr]

    def __eq__(self, other: object) -> bool:
        return self.event == other

    def __hash__(self) -> int:
        return hash(self.event)

    def __str__(self) -> str:
        event = str(self.event) if isinstance(self.event, EventEnum) else f"({self.event})"
        filtered = "" if self.filter is None else f"filter={self.filter}"
        ordered = f"priority={self.priority}" if self.priority else ""
        arguments = ", ".join(part for part in (filtered, ordered) if part)
        return f"{event}({arguments})" if arguments else str(self.event)

    __repr__ = __str__


class _EventEnumMeta(EnumMeta):
    def __new__(metacls, name: str, bases: Any, namespace: Any, **kwargs: Any) -> Any:
        cls: Any = super().__new__(metacls, name, bases, namespace, **kwargs)
        for alias, member in cls.__members__.items():
            if alias != member.name:
                raise ValueError(
                    f"{name}.{alias} has the same value as {name}.{member.name}, {member.value!r}, so both names "
                    f"would be one event. Give {alias} another value."
                )
        return cls

    if not TYPE_CHECKING and sys.version_info < (3, 12):
        # Since 3.12 members are attributes of the class, which Python looks up faster without this method. Tracebacks
        # name the nearest member by themselves; here the message does, which notebooks and pytest show, too.
        def __getattr__(cls, name: str) -> Any:
            try:
                return cls._member_map_[name]
            except KeyError:
                raise AttributeError(_no_member(cls, name), name=name, obj=None) from None


def _no_member(enum: EnumMeta, name: str) -> str:
    members = {member: f"{enum.__name__}.{member}" for member in enum.__members__}
    hint = did_you_mean(name, members) or f" Its events are {', '.join(members)}."
    return f"{enum.__name__} has no event {name}.{hint}"


class EventEnum(CallableEventWithFilter, Enum, metaclass=_EventEnumMeta):
    """The base class of users' events: ``class BackpropEvents(EventEnum): BACKWARD_STARTED = "backward_started"``.

    Each member is an event: it can be registered with an engine, called to filter it, and joined with ``|``.

    Raises:
        ValueError: the class statement raises it if two members have the same value.

    Example:
        >>> class BackpropEvents(EventEnum):
        ...     BACKWARD_STARTED = "backward_started"
        ...     BACKWARD_COMPLETED = "backward_completed"
        >>> print(BackpropEvents.BACKWARD_STARTED, BackpropEvents.BACKWARD_COMPLETED.value)
        BackpropEvents.BACKWARD_STARTED backward_completed
    """

    @property
    def event(self) -> EventEnum:  # type: ignore[override]
        """The event itself, without filter and priority."""
        return self

    @property
    def name(self) -> str:
        """The name of the member."""
        return self._name_

    @property
    def value(self) -> Any:
        """The value of the member."""
        return self._value_

    def __eq__(self, other: object) -> bool:
        if isinstance(other, CallableEventWithFilter):
            return self is other.event
        return self._name_ == other if isinstance(other, str) else NotImplemented

    # Events are compared by identity. Enum's __hash__ is a Python function and takes longer than a dict look-up.
    __hash__ = object.__hash__

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self._name_}"

    __repr__ = __str__


class Events(EventEnum):
    """The events of the training lifecycle; each is fired when a run enters the phase of that name.

    `fsm_engine.Lifecycle.training` defines their order; ``print(engine.lifecycle)`` shows it.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> every_second = Events.ITERATION_COMPLETED(every=2, after=2)
        >>> _ = trainer.add_event_handler(every_second, lambda: print(trainer.state.iteration))
        >>> _ = trainer.add_event_handler(Events.STARTED | Events.COMPLETED, lambda: print("start or end"))
        >>> _ = trainer.run([1, 2, 3, 4, 5, 6])
        start or end
        3
        5
        start or end
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
    """Events joined with ``|``. A handler attached to the list is attached to each event in it.

    Order and duplicates are kept. Joining returns a new list. The list may contain scopes, for `Engine.on_exit`.

    Raises:
        TypeError: an item is neither an event nor a scope. Strings are not accepted, either: attach the handler to
            each string separately.

    Example:
        >>> events = Events.STARTED | Events.COMPLETED(priority=1)
        >>> [event.name for event in events]
        ['STARTED', 'COMPLETED']
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

        return Edge(self, target)  # type: ignore[arg-type]  # raises TypeError

    def __len__(self) -> int:
        return len(self._events)

    def __getitem__(self, index: int) -> Any:
        return self._events[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._events)

    def __repr__(self) -> str:
        return " | ".join(map(str, self._events))


Event = EventEnum | str
"""An event without filter and priority: an enum member, or a string that was registered as an event."""

AnyEvent = CallableEventWithFilter | str
"""An event as users pass it: an `Event`, an edge or an exit, with or without filter and priority."""


def without_filter(event: AnyEvent) -> Event | Edge | Exit:
    """Return `event` without its filter and priority.

    Raises:
        TypeError: `event` is not an event.
    """
    if isinstance(event, str):
        return event
    if not isinstance(event, CallableEventWithFilter):
        raise TypeError(f"{event!r} is not an event. {_event_hint(event)}")
    return event.event


def _event_hint(value: Any) -> str:
    if isinstance(value, Scope):
        return "It is a scope. To call a handler when the scope is left, use engine.on_exit(scope)."
    if hasattr(value, "edges"):
        edges = " | ".join(f"({edge})" for edge in value.edges)
        return f"It is a path of several edges. Give one of them, or join them: {edges}."
    if isinstance(value, (list, tuple, set)) and value and all(isinstance(e, CallableEventWithFilter) for e in value):
        return f"For several events, join them: {' | '.join(map(str, value))}."
    if isinstance(value, type) and issubclass(value, EventEnum):
        return f"It is a class of events. Give one of its members, such as {next(iter(value), None)}."
    order = " The event comes first: add_event_handler(event, handler), @engine.on(event)." if callable(value) else ""
    return (
        "Give a member of Events or of an EventEnum, filtered or not, an edge such as A >> B, or a string that was "
        f"registered as an event.{order}"
    )


def is_same(one: Any, other: Any) -> bool:
    """Return True if two ends of edges are the same; a string and the enum member of that name are not."""
    return one is other or (type(one) is type(other) and one == other)


def name_of(event: Event) -> str:
    """Return the name of `event`: ``"STARTED"`` for `Events.STARTED`; a string is its own name."""
    return event if isinstance(event, str) else event.name
