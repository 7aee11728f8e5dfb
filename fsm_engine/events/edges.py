"""Names of moves: ``A >> B`` is an edge, ``A >> B >> C`` is a path, and `Exit` is any move out of a phase or scope.

Edges and exits are events: handlers can be attached to them, and they can be filtered and joined with ``|``. A path is
not an event; it is an argument of `Lifecycle.add_path`.
"""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any

from fsm_engine.events.events import CallableEventWithFilter, Event, EventEnum, EventsList, is_same, name_of
from fsm_engine.events.scopes import Scope

End = Event | Scope
"""The source or target of an edge: the event of a phase, or a scope."""


class Edge(CallableEventWithFilter):
    """The move from one phase to another, as an event: ``Events.STARTED >> Events.EPOCH_STARTED``.

    A handler of the edge is called each time a run makes the move. Filters count the moves. If the source is a scope,
    the edge is the move from any phase of the scope. Edges are equal if their sources and targets are.

    Raises:
        TypeError: the source or target is neither an event without filter and priority, nor a scope.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> edge = Events.EPOCH_COMPLETED >> Events.EPOCH_STARTED
        >>> edge.name
        'EPOCH_COMPLETED >> EPOCH_STARTED'
        >>> _ = trainer.add_event_handler(edge, lambda: print("one more epoch"))
        >>> _ = trainer.run([1], max_epochs=3)
        one more epoch
        one more epoch
    """

    def __init__(self, source: End, target: End) -> None:
        self.source, self.target = _end(source), _end(target)

    @property
    def event(self) -> Edge:  # type: ignore[override]
        """The edge itself, without filter and priority."""
        return self

    @property
    def name(self) -> str:
        """The names of both ends, such as ``"STARTED >> EPOCH_STARTED"``."""
        return f"{name_of_end(self.source)} >> {name_of_end(self.target)}"

    @property
    def ends(self) -> tuple[End, ...]:
        """The source and the target."""
        return self.source, self.target

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The edge itself, as a path of one edge."""
        return (self,)

    def __rshift__(self, other: Any) -> Path:  # type: ignore[override]  # events in general return an edge
        return Path(*self.ends, other)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, CallableEventWithFilter):
            return isinstance(other.event, Edge) and _same(self.ends, other.event.ends)
        return NotImplemented

    def __hash__(self) -> int:
        return hash((self.source, self.target))

    def __str__(self) -> str:
        return f"{_display(self.source)} >> {_display(self.target)}"

    __repr__ = __str__


class Path:
    """A sequence of edges: ``A >> B >> C``.

    Raises:
        TypeError: an end is neither an event without filter and priority, nor a scope.

    Example:
        >>> path = Events.STARTED >> Events.EPOCH_STARTED >> Events.GET_BATCH_STARTED
        >>> [edge.name for edge in path.edges]
        ['STARTED >> EPOCH_STARTED', 'EPOCH_STARTED >> GET_BATCH_STARTED']
    """

    def __init__(self, *ends: End) -> None:
        self._parts: tuple[Path | None, tuple[End, ...]] = (None, tuple([_end(end) for end in ends]))

    @property
    def ends(self) -> tuple[End, ...]:
        """The events and scopes in order. ``>>`` leaves collecting them to this property, so it takes constant time."""
        shorter, added = self._parts
        if shorter is not None:
            parts = [added]
            while shorter is not None:
                shorter, added = shorter._parts
                parts.append(added)
            self._parts = None, tuple(chain.from_iterable(reversed(parts)))
        return self._parts[1]

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The edges in order."""
        return tuple([Edge(a, b) for a, b in pairwise(self.ends)])

    def __rshift__(self, other: Any) -> Path:
        longer = Path(other)
        longer._parts = self, longer._parts[1]
        return longer

    def __reduce__(self) -> tuple[Any, ...]:
        return Path, self.ends

    def __or__(self, other: Any) -> EventsList:
        return EventsList(self).__or__(other)  # type: ignore[arg-type]  # raises TypeError

    def __eq__(self, other: object) -> bool:
        return _same(self.ends, other.ends) if isinstance(other, Path) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.ends)

    def __str__(self) -> str:
        return " >> ".join(map(_display, self.ends))

    __repr__ = __str__


class Exit(CallableEventWithFilter):
    """The move out of a phase or a scope along any edge, as an event; ``engine.on_exit(...)`` attaches handlers to it.

    Raises:
        TypeError: `of` is neither the event of a phase nor a scope.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> _ = trainer.on_exit(Events.STARTED)(lambda: print("left"))
        >>> trainer.has_handlers(Events.STARTED), Exit(Events.STARTED).name
        (True, 'exit of STARTED')
    """

    def __init__(self, of: End) -> None:
        if isinstance(of, CallableEventWithFilter) and not isinstance(of, EventEnum):
            raise TypeError(
                f"{of} has no exit: give the event of a phase, or a scope. Filter the exit itself: "
                f"Exit(event)(every=...)."
            )
        self.of = _end(of)

    @property
    def event(self) -> Exit:  # type: ignore[override]
        """The exit itself, without filter and priority."""
        return self

    @property
    def name(self) -> str:
        """The name of the exit, such as ``"exit of STARTED"``."""
        return f"exit of {name_of_end(self.of)}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, CallableEventWithFilter):
            return isinstance(other.event, Exit) and is_same(self.of, other.event.of)
        return NotImplemented

    def __hash__(self) -> int:
        return hash((Exit, self.of))

    def __str__(self) -> str:
        return f"Exit({_display(self.of)})"

    __repr__ = __str__


def exits_of(events: Any) -> list[CallableEventWithFilter]:
    """Return the exit of an event or scope, or of each one in an `EventsList`, with its filter and priority.

    Raises:
        TypeError: an edge, or another object that has no exit.
    """
    exits: list[CallableEventWithFilter] = []
    for end in events if isinstance(events, EventsList) else [events]:
        event = getattr(end, "event", None)
        if isinstance(event, Exit):
            exits.append(end)
        elif isinstance(event, EventEnum):
            exits.append(Exit(event).like(end))
        else:
            exits.append(Exit(end))
    return exits


def _end(value: Any) -> End:
    if isinstance(value, (EventEnum, str, Scope)):
        return value
    if isinstance(value, EventsList):
        raise TypeError(
            f"{value} are several events, and an edge has one at each end. Write the edges one by one, joined with "
            f"|: {' | '.join(f'({event} >> ...)' for event in value)}."
        )
    if isinstance(value, CallableEventWithFilter) and value.event is not value:
        raise TypeError(
            f"{value} has a filter or a priority, which an end of an edge cannot have. Give it to the edge: "
            f"(A >> B)(every=...)."
        )
    raise TypeError(f"{value!r} cannot be an end of an edge. Give a member of an EventEnum, a string, or a scope.")


def _same(ends: tuple[End, ...], others: tuple[End, ...]) -> bool:
    return len(ends) == len(others) and all(map(is_same, ends, others))


def name_of_end(end: End) -> str:
    """Return the name of an event or scope, such as ``"STARTED"``."""
    return end.name if isinstance(end, Scope) else name_of(end)


def _display(end: End) -> str:
    return f"Scope.{end.name.upper()}" if isinstance(end, Scope) else str(end)
