"""Visits: the time from entering a phase to leaving it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from fsm_engine.graph.code import CodeFragment
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.lifecycle.training import TRAINING
from fsm_engine.timeline.columns import move_columns, outermost, span_columns, visit_columns
from fsm_engine.timeline.track import Move, MoveKind, Span, Track

_DATA_PHASES = {
    qualified_name(phase)
    for phase in TRAINING.phases
    if isinstance(phase.activity, CodeFragment) and phase.activity.runs_user_code and not phase.activity.is_step
}
"""The phases of the training lifecycle whose activity reads the data."""


@dataclass(frozen=True)
class Visit:
    """A visit of a phase.

    Attributes:
        entered: the move that entered the phase.
        left: the move that left it, or the one that ended the run there.
        spans: the handler calls in the visit, without those inside other calls.
        device: how long the work submitted in the visit took on a device, in nanoseconds; None if unknown.
    """

    entered: Move
    left: Move
    spans: tuple[Span, ...]
    device: int | None = None

    @property
    def phase(self) -> str:
        """The qualified name of the phase."""
        return self.entered.kind.target

    @property
    def category(self) -> str:
        """The category of the activity; see `category`."""
        return category(self.entered.kind)

    @property
    def duration(self) -> int:
        """The duration in nanoseconds."""
        return self.left.time - self.entered.time

    @property
    def in_handlers(self) -> int:
        """The time of the handlers, in nanoseconds."""
        return sum(span.duration for span in self.spans)


def category(entered: MoveKind) -> str:
    """Return the category of the activity that begins with a move: ``data``, ``step``, or ``phase`` for all others."""
    if entered.target in _DATA_PHASES:
        return "data"
    return "step" if "iteration" in entered.target_scopes else "phase"


class Visits:
    """The visits of a track, in order. Between runs, and where iterations are not recorded, there are none.

    A track may have millions of visits, so a `Visit` is created when it is read.

    Attributes:
        track: the track.
        moves: its moves.
        calls: its handler calls.
        spans: those of them that are not inside another call.
        columns: the visits, as indices into `moves` and `spans`.
        kinds: for each visit, the index in ``track.kinds`` of the move that entered it.
    """

    def __init__(self, track: Track) -> None:
        self.track = track
        self.moves, self.calls = move_columns(track), span_columns(track)
        self.spans = outermost(self.calls)
        self.columns = visit_columns(self.moves, track.kinds, self.spans)
        self.kinds = list(map(self.moves.kinds.__getitem__, self.columns.entered))

    def __len__(self) -> int:
        return len(self.kinds)

    def __iter__(self) -> Iterator[Visit]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, index: int) -> Visit:
        entered = self.columns.entered[index]
        calls = range(self.columns.first_call[index], self.columns.end_call[index])
        return Visit(
            self._move(entered), self._move(entered + 1), tuple(map(self._span, calls)), self._device_times.get(entered)
        )

    def start(self, index: int) -> int:
        """Return when a visit began, in nanoseconds of the monotonic clock."""
        return self.moves.times[self.columns.entered[index]]

    def end(self, index: int) -> int:
        """Return when a visit ended."""
        return self.moves.times[self.columns.entered[index] + 1]

    @cached_property
    def starts(self) -> list[int]:
        """The times when the visits began."""
        return list(map(self.moves.times.__getitem__, self.columns.entered))

    @cached_property
    def durations(self) -> list[int]:
        """The durations of the visits, in nanoseconds."""
        times = self.moves.times
        return [times[index + 1] - times[index] for index in self.columns.entered]

    def totals(self) -> Iterator[tuple[MoveKind, int, int, int]]:
        """Yield each kind of move, the number of visits that it began, their time, and the handlers' part of it."""
        counts = Counter(self.kinds)
        times, in_handlers = dict.fromkeys(counts, 0), dict.fromkeys(counts, 0)
        for kind, duration, handlers in zip(self.kinds, self.durations, self.columns.in_handlers):
            times[kind] += duration
            in_handlers[kind] += handlers
        return ((self.track.kinds[kind], counts[kind], times[kind], in_handlers[kind]) for kind in counts)

    @cached_property
    def _device_times(self) -> dict[int, int]:
        return self.track.device_times

    def _move(self, index: int) -> Move:
        times, kinds, epochs, iterations = self.moves
        return Move(times[index], self.track.kinds[kinds[index]], epochs[index], iterations[index])

    def _span(self, index: int) -> Span:
        starts, ends, handlers, raised = self.spans
        return Span(starts[index], ends[index], self.track.handlers[handlers[index]], bool(raised[index]))
