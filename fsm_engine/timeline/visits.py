"""Visits: from entering a phase to leaving it, and what that time was spent on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fsm_engine.graph import Snippet
from fsm_engine.timeline.track import Kind, Move, Span, Track
from fsm_engine.training import TRAINING
from fsm_engine.views import qualified

_DATA = {
    qualified(phase)
    for phase in TRAINING.phases
    if isinstance(phase.activity, Snippet) and phase.activity.runs_user_code and not phase.activity.is_step
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


def visits(track: Track) -> Iterator[Visit]:
    """Yield the visits of a track in their order; between runs, and where iterations are left out, there are none.

    The phase that a suspended run rests in is left then.
    """
    spans, device = outermost(track), track.device_times
    entered: Move | None = None
    place = 0
    for number, move in enumerate(track.moves):
        first = place
        while place < len(spans) and spans[place].start < move.time:
            place += 1
        if entered is not None and not entered.kind.is_last and move.kind.trigger != "run":
            inside = [span for span in spans[first:place] if span.start >= entered.time]
            yield Visit(entered, move, tuple(inside), device.get(number - 1))
        entered = move


def outermost(track: Track) -> list[Span]:
    """Return the calls of handlers that are not inside another call, in the order in which they began."""
    found: list[Span] = []
    for span in sorted(track.spans, key=lambda span: (span.start, -span.end)):
        if not found or span.start >= found[-1].end:
            found.append(span)
    return found
