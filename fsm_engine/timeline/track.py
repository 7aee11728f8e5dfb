"""The track of one engine in a timeline: its moves and the calls of its handlers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Any, TypeVar

from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.timeline.rank import Rank
from fsm_engine.timeline.ring import Ring

H = TypeVar("H")

MOVE = Struct("<qiiq")
"""The record of a move: time, number of its kind, epoch, iteration."""

SPAN = Struct("<qqii")
"""The record of a handler call: start, end, number of the handler, 1 if the call raised."""

DEVICE = Struct("<qq")
"""The record of a device time: number of a move, from 0; time that the work submitted after it took."""


@dataclass(frozen=True)
class MoveKind:
    """A transition, by names alone, so that a timeline outlives its lifecycle.

    Moves that are not transitions have an empty label and the trigger ``begin`` or ``end``.

    Attributes:
        source: the qualified name of the phase that is left.
        label: the label of the transition.
        target: the qualified name of the phase that is entered.
        source_scopes: the scopes around the source, outermost first.
        target_scopes: the scopes around the target, outermost first.
        trigger: ``automatic``, ``fired`` or ``signal``; ``run`` for the signal that starts or resumes a run; ``begin``
            where the recording begins inside a run; ``end`` where a run is suspended, or ended without a transition.
        is_error: True if the transition handles an exception.
        starts_gap: True if the iteration after the move is not recorded.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> with trainer.record() as timeline:
        ...     _ = trainer.run([1, 2], max_epochs=2)
        >>> kind = next(iter(timeline.tracks[0].moves)).kind
        >>> kind.names, kind.trigger, kind.is_transition
        (('IDLE', 'run', 'Events.STARTED'), 'run', True)
    """

    source: str
    label: str
    target: str
    source_scopes: tuple[str, ...] = ()
    target_scopes: tuple[str, ...] = ()
    trigger: str = "automatic"
    is_error: bool = False
    starts_gap: bool = False

    @property
    def is_transition(self) -> bool:
        """True for a transition, False where a recording begins or a run ends without one."""
        return bool(self.label)

    @property
    def names(self) -> tuple[str, str, str]:
        """The source, the label and the target."""
        return self.source, self.label, self.target

    @property
    def starts_visit(self) -> bool:
        """True if the next recorded move leaves the phase that this one enters."""
        return self.is_transition and not self.starts_gap

    def __str__(self) -> str:
        if self.is_transition:
            return f"{self.source} --{self.label}--> {self.target}"
        if self.trigger == "begin":
            return f"recording began in {self.source}"
        return f"run {'suspended' if self.source == self.target else 'ended'} in {self.source}"


@dataclass(frozen=True)
class HandlerRef:
    """An attached handler, by names alone.

    Attributes:
        name: the qualified name of the handler.
        event: the event, edge or exit to which it was attached.
        place: where it is defined, as ``file:line``.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> def save():
        ...     pass
        >>> _ = trainer.add_event_handler(Events.EPOCH_COMPLETED, save)
        >>> with trainer.record() as timeline:
        ...     _ = trainer.run([1, 2])
        >>> timeline.tracks[0].handlers[0].name
        'save'
    """

    name: str
    event: str
    place: str

    def __str__(self) -> str:
        return f"{self.name} on {self.event}" if self.event else self.name


PAUSE = HandlerRef("paused", "", "")
"""A pause of an inspector. It is recorded as a span, so that every viewer shows it; it is not a handler."""


@dataclass(frozen=True)
class Move:
    """A recorded move.

    Attributes:
        time: when it was made, in nanoseconds of the monotonic clock.
        kind: its transition.
        epoch: ``state.epoch`` at that time, before the entry action of the target.
        iteration: ``state.iteration`` at that time.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> with trainer.record() as timeline:
        ...     _ = trainer.run([1, 2], max_epochs=2)
        >>> move = timeline.tracks[0].last_move
        >>> move.kind.target, move.epoch, move.iteration
        ('IDLE', 2, 4)
    """

    time: int
    kind: MoveKind
    epoch: int
    iteration: int


@dataclass(frozen=True)
class Span:
    """A recorded call of a handler.

    Attributes:
        start: when it began, in nanoseconds of the monotonic clock.
        end: when it ended.
        handler: the handler.
        raised: True if it raised an exception.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> _ = trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: None)
        >>> with trainer.record() as timeline:
        ...     _ = trainer.run([1, 2])
        >>> span = next(iter(timeline.tracks[0].spans))
        >>> span.handler.event, span.duration > 0, span.raised
        ('Events.EPOCH_COMPLETED', True, False)
    """

    start: int
    end: int
    handler: HandlerRef
    raised: bool

    @property
    def duration(self) -> int:
        """The duration in nanoseconds."""
        return self.end - self.start


@dataclass
class Sampling:
    """Which iterations of a track are recorded.

    Attributes:
        every: one iteration in this many is recorded.
        iterations: the number of iterations.
        kept: the number of recorded ones.
        phases: the qualified names of the phases that an iteration passes.
    """

    every: int
    iterations: int = 0
    kept: int = 0
    phases: frozenset[str] = frozenset()

    @property
    def left_out(self) -> int:
        """The number of iterations that are not recorded."""
        return self.iterations - self.kept

    def __str__(self) -> str:
        return f"{self.left_out:,} of {self.iterations:,} iterations were not recorded (every={self.every:,})"


class NamedSpans:
    """Time spans with names and a flag, oldest first: calls of collectives, or waits for other ranks.

    Args:
        capacity: the number of spans to keep.

    Attributes:
        ring: the records; the third number of a record is the index of a name, the fourth is 1 if the flag is set.
        names: the names.
    """

    def __init__(self, capacity: int) -> None:
        self.ring = Ring(SPAN, capacity)
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def add(self, start: int, end: int, name: str, flag: bool) -> None:
        """Add a span. Times are in nanoseconds of the monotonic clock."""
        self.ring.add(start, end, _number(name, self.names, self._numbers), flag)

    def __iter__(self) -> Iterator[tuple[int, int, str, bool]]:
        return ((start, end, self.names[number], bool(flag)) for start, end, number, flag in self.ring)


class Track:
    """The record of one engine.

    Args:
        capacity: the number of moves, and of handler calls, to keep.

    Attributes:
        name: the name of the engine, or of its lifecycle.
        thread: the name of the thread that ran it first.
        kinds: the kinds of moves; a move has an index into this list.
        handlers: the handlers; a span has an index into this list.
        sampling: which iterations are recorded; None for all.
        device_ring: the device times; None if they were not recorded.
        lifecycle_data: the lifecycle of the engine as plain data; None if it cannot be written.
        rank: the process of a distributed run that recorded the track; None outside `fsm_engine.distributed.session`.
        collectives: the calls of collectives on the rank; their flag is set if the whole call is a wait. The first
            track of a recording has them; None for other tracks, and after the ranks were merged.
        waits: the waits for other ranks, after the ranks were merged; their flag is set if a recorded collective
            waited. The first track of a rank has them; None for other tracks.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> with trainer.record() as timeline:
        ...     _ = trainer.run([1, 2], max_epochs=2)
        >>> track = timeline.tracks[0]
        >>> track.name, len(list(track.moves)), len(track.kinds)
        ('training', 24, 68)
    """

    rank: Rank | None = None
    collectives: NamedSpans | None = None
    waits: NamedSpans | None = None
    sampling: Sampling | None = None
    device_ring: Ring | None = None
    lifecycle_data: dict[str, Any] | None = None

    def __init__(self, name: str, thread: str, capacity: int) -> None:
        self.name, self.thread = name, thread
        self.kinds: list[MoveKind] = []
        self.handlers: list[HandlerRef] = []
        self._kind_numbers: dict[MoveKind, int] = {}
        self._handler_numbers: dict[HandlerRef, int] = {}
        self.move_ring, self.span_ring = Ring(MOVE, capacity), Ring(SPAN, capacity)

    @property
    def lifecycle(self) -> Lifecycle | None:
        """The lifecycle of the engine, with placeholders for the functions of users; None if it was not stored.

        Raises:
            LifecycleError: the file of the timeline has a damaged lifecycle.
        """
        return None if self.lifecycle_data is None else Lifecycle.from_dict(self.lifecycle_data)

    @property
    def moves(self) -> Iterator[Move]:
        """The kept moves, oldest first."""
        kinds = self.kinds
        return (Move(time, kinds[kind], epoch, iteration) for time, kind, epoch, iteration in self.move_ring)

    @property
    def last_move(self) -> Move | None:
        """The last move; None before the first."""
        ring = self.move_ring
        if not len(ring):
            return None
        time, kind, epoch, iteration = MOVE.unpack_from(ring.block, (ring.offset or len(ring.block)) - MOVE.size)
        return Move(time, self.kinds[kind], epoch, iteration)

    @property
    def spans(self) -> Iterator[Span]:
        """The kept calls of handlers, in the order in which they ended."""
        handlers = self.handlers
        return (Span(start, end, handlers[number], bool(raised)) for start, end, number, raised in self.span_ring)

    @property
    def pauses(self) -> list[tuple[int, int]]:
        """When an inspector paused the run, and when the run went on, in nanoseconds of the monotonic clock."""
        if PAUSE not in self.handlers:
            return []
        return [(span.start, span.end) for span in self.spans if span.handler == PAUSE]

    @property
    def device_times(self) -> dict[int, int]:
        """By index in `moves`, the time that the work submitted after the move took on the device, in nanoseconds."""
        first = self.move_ring.dropped
        return {index - first: time for index, time in self.device_ring or () if index >= first}

    @property
    def dropped(self) -> tuple[int, int]:
        """The number of moves and of spans that were dropped because the track was full."""
        return self.move_ring.dropped, self.span_ring.dropped

    def kind_number(self, kind: MoveKind) -> int:
        """Return the index of `kind` in `kinds`, and add it if it is new."""
        return _number(kind, self.kinds, self._kind_numbers)

    def handler_number(self, handler: HandlerRef) -> int:
        """Return the index of `handler` in `handlers`, and add it if it is new."""
        return _number(handler, self.handlers, self._handler_numbers)

    def __repr__(self) -> str:
        return f"<Track {self.name}: {len(self.move_ring)} moves, {len(self.span_ring)} handler calls>"

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, str]:
        """Return the output of a timeline with this track alone."""
        from fsm_engine._util.html import mimebundle
        from fsm_engine.render.timeline.notebook import timeline_html

        return mimebundle(self.__repr__, lambda: timeline_html([self]))

    def release(self) -> None:
        """Release the memory that was not used. Nothing may be recorded after this."""
        self.move_ring.release()
        self.span_ring.release()

    def newest(self, moves: int) -> Track:
        """Return a track with the newest moves and handler calls, at most `moves` of each."""
        part = Track(self.name, self.thread, moves)
        part.kinds, part.handlers, part.sampling = self.kinds, self.handlers, self.sampling
        part.rank, part.device_ring, part.lifecycle_data = self.rank, self.device_ring, self.lifecycle_data
        for own, other in ((part.move_ring, self.move_ring), (part.span_ring, self.span_ring)):
            own.load_newest(other)
        return part


def _number(item: H, items: list[H], numbers: dict[H, int]) -> int:
    """Return the index of `item` in `items`, to which it is added if it is new. `numbers` has the indices."""
    if len(numbers) < len(items):
        numbers.update({known: number for number, known in enumerate(items)})
    if item not in numbers:
        items.append(item)  # first: an exception between these lines leaves a longer list, which the next call reads
        numbers[item] = len(items) - 1
    return numbers[item]
