"""The track of one engine in a timeline: its moves, and when its handlers were called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from fsm_engine.timeline.ring import Ring

MOVE = Struct("<qiiq")
"""A move: when, in nanoseconds of the monotonic clock; the number of its kind; the epoch; the iteration."""

SPAN = Struct("<qqii")
"""A call of a handler: from when, to when; the number of what was called; 1 if it raised."""


@dataclass(frozen=True)
class Kind:
    """A transition as a timeline keeps it: by names alone.

    Attributes:
        source: the qualified name of the phase that is left.
        label: the label of the transition; empty for the end of a run that was suspended, and rests where it is.
        target: the qualified name of the phase that is entered.
        source_scopes: the scopes around the source, the outermost first.
        target_scopes: the scopes around the target.
        trigger: what makes it happen: ``automatic``, ``fired``, ``signal``; ``run`` if it begins a run or goes on with
            one; ``rest`` for the end of a run.
        is_error: whether it took an exception.
    """

    source: str
    label: str
    target: str
    source_scopes: tuple[str, ...] = ()
    target_scopes: tuple[str, ...] = ()
    trigger: str = "automatic"
    is_error: bool = False

    @property
    def is_rest(self) -> bool:
        """Whether it is no transition but the end of a run, which rests where it is."""
        return not self.label

    def __str__(self) -> str:
        return f"{self.source} rests" if self.is_rest else f"{self.source} --{self.label}--> {self.target}"


@dataclass(frozen=True)
class Called:
    """What a span is a call of.

    Attributes:
        handler: its qualified name.
        event: the event, edge or exit that it was attached to.
        place: where it is defined, as file:line.
    """

    handler: str
    event: str
    place: str


@dataclass(frozen=True)
class Move:
    """A move of a run.

    Attributes:
        time: when it was made, in nanoseconds of the monotonic clock.
        kind: which transition.
        epoch: ``state.epoch`` at that time, before the entry action of the target.
        iteration: ``state.iteration`` at that time.
    """

    time: int
    kind: Kind
    epoch: int
    iteration: int


@dataclass(frozen=True)
class Span:
    """A call of a handler.

    Attributes:
        start: when it began, in nanoseconds of the monotonic clock.
        end: when it ended.
        called: what was called.
        raised: whether it ended with an exception.
    """

    start: int
    end: int
    called: Called
    raised: bool

    @property
    def duration(self) -> int:
        """How long it took, in nanoseconds."""
        return self.end - self.start


class Track:
    """What one engine did.

    Attributes:
        name: of its lifecycle.
        thread: of the thread that ran it first.
        kinds: the transitions that moves refer to by their number.
        calls: what spans refer to by their number.
    """

    def __init__(self, name: str, thread: str, room: int) -> None:
        self.name, self.thread = name, thread
        self.kinds: list[Kind] = []
        self.calls: list[Called] = []
        self.move_ring, self.span_ring = Ring(MOVE, room), Ring(SPAN, room)

    @property
    def moves(self) -> Iterator[Move]:
        """The moves that are kept, in the order in which they were made."""
        kinds = self.kinds
        return (Move(time, kinds[kind], epoch, iteration) for time, kind, epoch, iteration in self.move_ring)

    @property
    def spans(self) -> Iterator[Span]:
        """The calls of handlers that are kept, in the order in which they ended."""
        calls = self.calls
        return (Span(start, end, calls[what], bool(raised)) for start, end, what, raised in self.span_ring)

    @property
    def dropped(self) -> tuple[int, int]:
        """How many moves and spans were forgotten, because there was no more room."""
        return self.move_ring.dropped, self.span_ring.dropped

    def number(self, kind: Kind) -> int:
        """Return the number of a kind of move."""
        if kind not in self.kinds:
            self.kinds.append(kind)
        return self.kinds.index(kind)

    def number_called(self, called: Called) -> int:
        """Return the number of what is called."""
        if called not in self.calls:
            self.calls.append(called)
        return self.calls.index(called)

    def __repr__(self) -> str:
        return f"<Track {self.name}: {len(self.move_ring)} moves, {len(self.span_ring)} calls of handlers>"
