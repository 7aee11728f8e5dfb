"""Visits: from entering a phase to leaving it, and what that time was spent on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from fsm_engine.graph.code import CodeFragment
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.lifecycle.training import TRAINING
from fsm_engine.timeline.columns import moves, outermost, spans, stays
from fsm_engine.timeline.track import Kind, Move, Span, Track

_DATA = {
    qualified_name(phase)
    for phase in TRAINING.phases
    if isinstance(phase.activity, CodeFragment) and phase.activity.runs_user_code and not phase.activity.is_step
}
"""The phases of training in which the user's code runs that is no step: the data."""


@dataclass(frozen=True)
class Visit:
    """A phase, from the move that entered it to the one that left it.

    Attributes:
        entered: the move into it.
        left: the move out of it; a rest if the run ended there.
        spans: the calls of handlers in between, those inside other calls left out.
        device: how long a device took for what was done meanwhile, in nanoseconds; None if that is not known.
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
    def spent_on(self) -> str:
        """What its time was for, unless handlers took it; see `spent_on`."""
        return spent_on(self.entered.kind)

    @property
    def way_out(self) -> Kind:
        """The transition that left it."""
        return self.left.kind

    @property
    def duration(self) -> int:
        """How long it took, in nanoseconds."""
        return self.left.time - self.entered.time

    @property
    def in_handlers(self) -> int:
        """How long handlers took, in nanoseconds."""
        return sum(span.duration for span in self.spans)

    @property
    def in_activity(self) -> int:
        """How long everything else took: the activity, or that stretch of the step, and the engine itself."""
        return self.duration - self.in_handlers


def spent_on(entered: Kind) -> str:
    """Return what the time of visits is for that begin so: ``data``, ``step``, or ``phase`` for all other phases."""
    if entered.target in _DATA:
        return "data"
    return "step" if "iteration" in entered.target_scopes else "phase"


class Visits:
    """The visits of a track in their order; between runs, and where iterations are left out, there are none.

    A visit is made when it is asked for: there may be millions. What is asked of all of them is read off columns.

    Attributes:
        track: what was recorded.
        moves: its moves.
        spans: its calls of handlers, those inside other calls left out.
        stays: where the visits are in these.
        numbers: the numbers of the kinds of move that the visits began with.
    """

    def __init__(self, track: Track) -> None:
        self.track = track
        self.moves, self.spans = moves(track), outermost(spans(track))
        self.stays = stays(self.moves, track.kinds, self.spans)
        self.numbers = list(map(self.moves.kinds.__getitem__, self.stays.entered))

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Visit]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, place: int) -> Visit:
        entered = self.stays.entered[place]
        inside = range(self.stays.first[place], self.stays.stop[place])
        return Visit(
            self._move(entered), self._move(entered + 1), tuple(map(self._span, inside)), self._device.get(entered)
        )

    def start(self, place: int) -> int:
        """Return when a visit began, in nanoseconds of the monotonic clock."""
        return self.moves.times[self.stays.entered[place]]

    def end(self, place: int) -> int:
        """Return when it ended."""
        return self.moves.times[self.stays.entered[place] + 1]

    @cached_property
    def starts(self) -> list[int]:
        """When the visits began."""
        return list(map(self.moves.times.__getitem__, self.stays.entered))

    @cached_property
    def durations(self) -> list[int]:
        """How long they took, in nanoseconds."""
        times = self.moves.times
        return [times[place + 1] - times[place] for place in self.stays.entered]

    def totals(self) -> Iterator[tuple[Kind, int, int, int]]:
        """Yield for each kind of move how many visits began with it, how long they took, and handlers in them."""
        counts = Counter(self.numbers)
        took, handled = dict.fromkeys(counts, 0), dict.fromkeys(counts, 0)
        for number, duration, in_handlers in zip(self.numbers, self.durations, self.stays.handled):
            took[number] += duration
            handled[number] += in_handlers
        return ((self.track.kinds[number], counts[number], took[number], handled[number]) for number in counts)

    @cached_property
    def _device(self) -> dict[int, int]:
        return self.track.device_times

    def _move(self, place: int) -> Move:
        made = self.moves
        kind = self.track.kinds[made.kinds[place]]
        return Move(made.times[place], kind, made.epochs[place], made.iterations[place])

    def _span(self, place: int) -> Span:
        spans = self.spans
        handler = self.track.handlers[spans.handlers[place]]
        return Span(spans.starts[place], spans.ends[place], handler, bool(spans.raised[place]))


def visits(track: Track) -> Visits:
    """Return the visits of a track. The phase that a suspended run rests in is left then."""
    return Visits(track)
