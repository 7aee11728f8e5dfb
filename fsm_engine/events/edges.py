"""How moves are named: ``A >> B`` is an edge, ``A >> B >> C`` a path, and `Exit` is the leaving of a phase or scope.

Edges and exits are events: handlers are attached to them, filtered, joined with ``|``. Paths are not; they say
what `Lifecycle.add_path` adds.
"""

from __future__ import annotations

from typing import Any

from fsm_engine.events.events import CallableEventWithFilter, Event, EventEnum, EventsList, is_same, name_of
from fsm_engine.events.scopes import Scope

End = Event | Scope
"""What an edge leads from or to: a phase, by its event, or a scope."""


class Edge(CallableEventWithFilter):
    """The move from one phase to another, as an event of its own: ``Events.STARTED >> Events.EPOCH_STARTED``.

    Attached to it, a handler is called whenever that move is made; filters count the passages. From a scope,
    it is the move out of any phase of that scope. Two edges are equal when their ends are.

    Raises:
        TypeError: an end that is no plain event and no scope.
    """

    def __init__(self, source: End, target: End) -> None:
        self.source, self.target = _end(source), _end(target)

    @property
    def event(self) -> Edge:  # type: ignore[override]
        """The edge itself, without filter and priority."""
        return self

    @property
    def name(self) -> str:
        """Both ends by their bare names."""
        return f"{name_of_end(self.source)} >> {name_of_end(self.target)}"

    @property
    def ends(self) -> tuple[End, ...]:
        """Source and target."""
        return self.source, self.target

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The edge as a path of one."""
        return (self,)

    def __rshift__(self, other: Any) -> Path:  # type: ignore[override]  # a longer path is no edge
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
    """Several edges, one after the other: ``A >> B >> C``.

    Raises:
        TypeError: an end that is no plain event and no scope.
    """

    def __init__(self, *ends: End) -> None:
        self.ends = tuple([_end(end) for end in ends])

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The edges in order."""
        return tuple([Edge(a, b) for a, b in zip(self.ends, self.ends[1:])])

    def __rshift__(self, other: Any) -> Path:
        return Path(*self.ends, other)

    def __or__(self, other: Any) -> EventsList:
        return EventsList(self).__or__(other)  # type: ignore[arg-type]  # refused there, with the reason

    def __eq__(self, other: object) -> bool:
        return _same(self.ends, other.ends) if isinstance(other, Path) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.ends)

    def __str__(self) -> str:
        return " >> ".join(map(_display, self.ends))

    __repr__ = __str__


class Exit(CallableEventWithFilter):
    """The leaving of a phase, or of a scope, by whatever edge: what ``engine.on_exit(...)`` attaches to.

    Raises:
        TypeError: for anything but an event or a scope.
    """

    def __init__(self, of: End) -> None:
        if isinstance(of, CallableEventWithFilter) and not isinstance(of, EventEnum):
            raise TypeError(f"{of} cannot be left: give a phase's event or a scope, and the filter behind Exit(...).")
        self.of = _end(of)

    @property
    def event(self) -> Exit:  # type: ignore[override]
        """The exit itself, without filter and priority."""
        return self

    @property
    def name(self) -> str:
        """The bare name of what is left."""
        return f"exit of {name_of_end(self.of)}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, CallableEventWithFilter):
            return isinstance(other.event, Exit) and _same((self.of,), (other.event.of,))
        return NotImplemented

    def __hash__(self) -> int:
        return hash((Exit, self.of))

    def __str__(self) -> str:
        return f"Exit({_display(self.of)})"

    __repr__ = __str__


def exits_of(what: Any) -> list[CallableEventWithFilter]:
    """Return the exit of each event or scope in `what`, with the filter and priority that it had.

    Raises:
        TypeError: for an edge, or anything else that cannot be left.
    """
    exits: list[CallableEventWithFilter] = []
    things: list[Any] = [*what] if isinstance(what, EventsList) else [what]
    for thing in things:
        if isinstance(getattr(thing, "event", None), Exit):
            exits.append(thing)
        elif isinstance(getattr(thing, "event", None), EventEnum):
            exits.append(Exit(thing.event).like(thing))
        else:
            exits.append(Exit(thing))
    return exits


def _end(thing: Any) -> End:
    if isinstance(thing, (EventEnum, str, Scope)):
        return thing
    if isinstance(thing, EventsList):
        raise TypeError(
            f"{thing} are several events, and an edge has one at each end. Write the edges one by one, joined with "
            f"|: {' | '.join(f'({event} >> ...)' for event in thing)}."
        )
    if isinstance(thing, CallableEventWithFilter) and thing.event is not thing:
        raise TypeError(
            f"{thing} has a filter or a priority, which an end of an edge cannot have. Give it to the edge: "
            f"(A >> B)(every=...)."
        )
    raise TypeError(f"{thing!r} cannot be an end of an edge. Give a member of an EventEnum, a string, or a scope.")


def _same(ends: tuple[End, ...], others: tuple[End, ...]) -> bool:
    return len(ends) == len(others) and all(map(is_same, ends, others))


def name_of_end(end: End) -> str:
    """Return the bare name of `end`."""
    return end.name if isinstance(end, Scope) else name_of(end)


def _display(end: End) -> str:
    return f"Scope.{end.name.upper()}" if isinstance(end, Scope) else str(end)
