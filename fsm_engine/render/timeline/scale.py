"""The time axis: straight where something is shown, broken where something is left out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

from fsm_engine.render.text_metrics import NOTE_SIZE, text_width
from fsm_engine.render.timeline.elision import Gap
from fsm_engine.render.timeline.units import moment, steps

APART = 14.0
"""How much room there is between the texts of two marks, in pixels."""


@dataclass(frozen=True)
class Piece:
    """A part of the axis along which time runs evenly.

    Attributes:
        start: when it begins, in nanoseconds.
        end: when it ends.
        left: where it begins, in pixels.
        right: where it ends.
        gap: what is left out in it; None if everything in it is shown.
    """

    start: int
    end: int
    left: float
    right: float
    gap: Gap | None = None


@dataclass(frozen=True)
class Scale:
    """Where each time is, in pixels.

    Attributes:
        pieces: in their order, without a gap between them.
    """

    pieces: tuple[Piece, ...]

    def __call__(self, time: int) -> float:
        """Return where a time is."""
        piece = self._piece(time)
        part = (time - piece.start) / ((piece.end - piece.start) or 1)
        return piece.left + min(max(part, 0.0), 1.0) * (piece.right - piece.left)

    def shows(self, start: int, end: int) -> bool:
        """Say whether some of the time from `start` to `end` is shown, or that moment if they are the same."""
        hidden = self.hidden_until(start)
        return hidden is None or end > hidden

    def hidden_until(self, time: int) -> int | None:
        """Return until when nothing is shown from a time on; None if that time is shown."""
        piece = self._piece(time)
        return None if piece.gap is None else piece.end

    def shows_all(self, start: int, end: int) -> bool:
        """Say whether all of the time from `start` to `end` is shown."""
        piece = self._piece(start)
        return piece.gap is None and start < end <= piece.end

    def _piece(self, time: int) -> Piece:
        return self.pieces[min(bisect_right(self._ends, time), len(self.pieces) - 1)]

    @cached_property
    def _ends(self) -> list[int]:
        return [piece.end for piece in self.pieces]

    @property
    def start(self) -> int:
        """When it begins."""
        return self.pieces[0].start

    @property
    def end(self) -> int:
        """When it ends."""
        return self.pieces[-1].end


def scale(start: int, end: int, gaps: Sequence[Gap], widths: Mapping[Gap, float], left: float, right: float) -> Scale:
    """Return the scale from `start` to `end`, laid out from `left` to `right`: breaks are as wide as they are told."""
    shown = end - start - sum(gap.end - gap.start for gap in gaps)
    density = (right - left - sum(widths.values())) / (shown or 1)
    pieces, time, x = [], start, left
    for gap in gaps:
        middle = x + (gap.start - time) * density
        pieces.append(Piece(time, gap.start, x, middle))
        time, x = gap.end, middle + widths[gap]
        pieces.append(Piece(gap.start, gap.end, middle, x, gap))
    return Scale((*pieces, Piece(time, end, x, right)))


def marks(scale: Scale) -> Iterator[tuple[float, str]]:
    """Yield where the axis has marks, in pixels, and what is written there.

    They are equally far apart in all pieces; one that has none gets one for itself, with as many digits as it takes.
    """
    shown = [piece for piece in scale.pieces if piece.gap is None and piece.right - piece.left > 1]
    whole = scale.end - scale.start
    usual = next((step for step in steps() if shown and _fits(step, shown[0], whole)), whole) or 1
    finer = list(takewhile(lambda step: step < usual, steps()))
    for piece in shown:
        begin, finish = piece.start - scale.start, piece.end - scale.start
        step = next((step for step in (usual, *reversed(finer)) if finish // step * step >= begin), usual)
        for time in range(-(-begin // step) * step, finish + 1, step)[: None if step == usual else 1]:
            yield scale(time + scale.start), moment(time, step, whole)


def _fits(step: int, piece: Piece, whole: int) -> bool:
    room = step * (piece.right - piece.left) / (piece.end - piece.start)
    return text_width(moment(whole // step * step, step, whole), NOTE_SIZE) + APART <= room
