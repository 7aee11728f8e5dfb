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

DEVICE = Struct("<qq")
"""A time on a device: the number of a move, counted from 0; how long what was done after it took, in nanoseconds."""


@dataclass(frozen=True)
class Kind:
    """A transition as a timeline keeps it: by names alone.

    Attributes:
        source: the qualified name of the phase that is left.
        label: the label of the transition; empty for the end of a run that made no move: it was suspended, and rests
            where it is, or is over, and its target is the first phase. Also for where it was when recording began.
        target: the qualified name of the phase that is entered.
        source_scopes: the scopes around the source, the outermost first.
        target_scopes: the scopes around the target.
        trigger: what makes it happen: ``automatic``, ``fired``, ``signal``; ``run`` if it begins a run or goes on with
            one; ``rest`` for the end of a run; ``begin`` for a recording that began within one.
        is_error: whether it took an exception.
        is_cut: whether what followed it is not recorded, because that iteration is left out.
    """

    source: str
    label: str
    target: str
    source_scopes: tuple[str, ...] = ()
    target_scopes: tuple[str, ...] = ()
    trigger: str = "automatic"
    is_error: bool = False
    is_cut: bool = False

    @property
    def is_last(self) -> bool:
        """Whether the next move that is recorded does not leave the phase that this one entered."""
        return self.is_rest or self.is_cut

    @property
    def is_rest(self) -> bool:
        """Whether it is no transition but a run that rests where it is, is over without a move, or was going on."""
        return not self.label

    def __str__(self) -> str:
        if self.trigger == "begin":
            return f"{self.source} is where the recording began"
        if self.is_rest:
            return f"{self.source} rests" if self.source == self.target else f"{self.source} is where the run ended"
        return f"{self.source} --{self.label}--> {self.target}"


@dataclass(frozen=True)
class HandlerRef:
    """An attached handler, by names alone.

    Attributes:
        name: the qualified name of the handler.
        event: the event, edge or exit to which it was attached.
        place: where it is defined, as ``file:line``.
    """

    name: str
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
        handler: the handler.
        raised: whether it ended with an exception.
    """

    start: int
    end: int
    handler: HandlerRef
    raised: bool

    @property
    def duration(self) -> int:
        """How long it took, in nanoseconds."""
        return self.end - self.start


@dataclass
class Sampling:
    """Which iterations of a track are recorded.

    Attributes:
        every: one in so many.
        iterations: how many there were.
        kept: how many of them are recorded.
        phases: the qualified names of the phases that come again with each iteration.
    """

    every: int
    iterations: int = 0
    kept: int = 0
    phases: frozenset[str] = frozenset()

    @property
    def left_out(self) -> int:
        """How many iterations are not recorded."""
        return self.iterations - self.kept

    def __str__(self) -> str:
        return f"{self.left_out:,} of {self.iterations:,} iterations were not recorded (every={self.every:,})"


class Track:
    """What one engine did.

    Attributes:
        name: of its lifecycle.
        thread: of the thread that ran it first.
        kinds: the transitions that moves refer to by their number.
        handlers: the handlers to which spans refer by their number.
        sampling: which iterations are recorded; None if all are.
        device_ring: how long phases took on a device; None if that was not recorded.
    """

    sampling: Sampling | None = None
    device_ring: Ring | None = None

    def __init__(self, name: str, thread: str, capacity: int) -> None:
        self.name, self.thread = name, thread
        self.kinds: list[Kind] = []
        self.handlers: list[HandlerRef] = []
        self.move_ring, self.span_ring = Ring(MOVE, capacity), Ring(SPAN, capacity)

    @property
    def moves(self) -> Iterator[Move]:
        """The moves that are kept, in the order in which they were made."""
        kinds = self.kinds
        return (Move(time, kinds[kind], epoch, iteration) for time, kind, epoch, iteration in self.move_ring)

    @property
    def last(self) -> Move | None:
        """The move that was made last; None before the first."""
        ring = self.move_ring
        if not len(ring):
            return None
        time, kind, epoch, iteration = MOVE.unpack_from(ring.block, (ring.at or len(ring.block)) - MOVE.size)
        return Move(time, self.kinds[kind], epoch, iteration)

    @property
    def spans(self) -> Iterator[Span]:
        """The calls of handlers that are kept, in the order in which they ended."""
        handlers = self.handlers
        return (Span(start, end, handlers[number], bool(raised)) for start, end, number, raised in self.span_ring)

    @property
    def device_times(self) -> dict[int, int]:
        """How long a device took for what was done after a move, in nanoseconds, by the place of that in `moves`."""
        first = self.move_ring.dropped
        return {place - first: time for place, time in self.device_ring or () if place >= first}

    @property
    def dropped(self) -> tuple[int, int]:
        """How many moves and spans were forgotten, because there was no more room."""
        return self.move_ring.dropped, self.span_ring.dropped

    def number(self, kind: Kind) -> int:
        """Return the number of a kind of move."""
        if kind not in self.kinds:
            self.kinds.append(kind)
        return self.kinds.index(kind)

    def number_of_handler(self, handler: HandlerRef) -> int:
        """Return the number of a handler, which is new if `handler` is."""
        if handler not in self.handlers:
            self.handlers.append(handler)
        return self.handlers.index(handler)

    def __repr__(self) -> str:
        return f"<Track {self.name}: {len(self.move_ring)} moves, {len(self.span_ring)} calls of handlers>"
