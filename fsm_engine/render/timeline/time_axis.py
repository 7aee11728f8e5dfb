"""The time axis of a picture: linear pieces, breaks for the gaps, and ticks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count, takewhile

from fsm_engine.render.text_metrics import NOTE_SIZE, text_width
from fsm_engine.render.timeline.elision import Gap
from fsm_engine.timeline.units import HOUR, MINUTE, SECOND, UNITS

TICK_DISTANCE = 14.0
"""The least distance between the labels of two ticks, in pixels."""

_LONG_STEPS = tuple(n * MINUTE for n in (1, 2, 5, 10, 15, 30)) + tuple(n * HOUR for n in (1, 2, 5, 10))


@dataclass(frozen=True)
class AxisPiece:
    """A part of the axis with one scale.

    Attributes:
        start: when it begins, in nanoseconds.
        end: when it ends.
        left: where it begins, in pixels.
        right: where it ends.
        gap: the gap that the piece stands for; None if its time is shown.
    """

    start: int
    end: int
    left: float
    right: float
    gap: Gap | None = None


@dataclass(frozen=True)
class TimeAxis:
    """Maps times to positions: ``axis(time)`` is in pixels.

    Attributes:
        pieces: the pieces in order; each begins where the one before ends.
    """

    pieces: tuple[AxisPiece, ...]

    def __call__(self, time: int) -> float:
        """Return the position of a time."""
        piece = self._piece_at(time)
        part = (time - piece.start) / ((piece.end - piece.start) or 1)
        return piece.left + min(max(part, 0.0), 1.0) * (piece.right - piece.left)

    def shows(self, start: int, end: int) -> bool:
        """Return True if a part of the time from `start` to `end` is shown, or the moment if they are equal."""
        gap_end = self.gap_end(start)
        return gap_end is None or end > gap_end

    def gap_end(self, time: int) -> int | None:
        """Return the end of the gap at a time; None if that time is shown."""
        piece = self._piece_at(time)
        return None if piece.gap is None else piece.end

    def shows_all(self, start: int, end: int) -> bool:
        """Return True if the whole time from `start` to `end` is shown."""
        piece = self._piece_at(start)
        return piece.gap is None and start < end <= piece.end

    def _piece_at(self, time: int) -> AxisPiece:
        return self.pieces[min(bisect_right(self._ends, time), len(self.pieces) - 1)]

    @cached_property
    def _ends(self) -> list[int]:
        return [piece.end for piece in self.pieces]

    @property
    def start(self) -> int:
        """When the axis begins, in nanoseconds."""
        return self.pieces[0].start

    @property
    def end(self) -> int:
        """When the axis ends."""
        return self.pieces[-1].end


def make_axis(
    start: int, end: int, gaps: Sequence[Gap], widths: Mapping[Gap, float], left: float, right: float
) -> TimeAxis:
    """Return the axis from `start` to `end`, from `left` to `right`; `widths` has the widths of the breaks."""
    shown = end - start - sum(gap.end - gap.start for gap in gaps)
    density = (right - left - sum(widths.values())) / (shown or 1)
    pieces, time, x = [], start, left
    for gap in gaps:
        middle = x + (gap.start - time) * density
        pieces.append(AxisPiece(time, gap.start, x, middle))
        time, x = gap.end, middle + widths[gap]
        pieces.append(AxisPiece(gap.start, gap.end, middle, x, gap))
    return TimeAxis((*pieces, AxisPiece(time, end, x, right)))


def axis_ticks(axis: TimeAxis) -> Iterator[tuple[float, str]]:
    """Yield the position and the label of each tick.

    All shown pieces have the same distance of ticks. A piece that would have none gets one tick at a finer step.
    """
    shown = [piece for piece in axis.pieces if piece.gap is None and piece.right - piece.left > 1]
    whole = axis.end - axis.start
    usual = next((step for step in _tick_steps() if shown and _fits(step, shown[0], whole)), whole) or 1
    finer = list(takewhile(lambda step: step < usual, _tick_steps()))
    for piece in shown:
        start, end = piece.start - axis.start, piece.end - axis.start
        step = next((step for step in (usual, *reversed(finer)) if end // step * step >= start), usual)
        for time in range(-(-start // step) * step, end + 1, step)[: None if step == usual else 1]:
            yield axis(time + axis.start), format_moment(time, step, whole)


def _fits(step: int, piece: AxisPiece, whole: int) -> bool:
    distance = step * (piece.right - piece.left) / (piece.end - piece.start)
    return text_width(format_moment(whole // step * step, step, whole), NOTE_SIZE) + TICK_DISTANCE <= distance


def _tick_steps() -> Iterator[int]:
    """Yield the possible distances between ticks, in nanoseconds, shortest first."""
    yield from (digit * 10**power for power in range(10) for digit in (1, 2, 5))
    yield from (10 * SECOND, 20 * SECOND, 30 * SECOND)
    yield from _LONG_STEPS
    yield from (day * 24 * HOUR for day in count(1))


def format_moment(nanoseconds: int, step: int, whole: int) -> str:
    """Return the label of a tick.

    Args:
        nanoseconds: the time since the start of the axis.
        step: the distance between ticks, which determines the number of digits.
        whole: the length of the axis, which determines the unit.
    """
    if not nanoseconds:
        return "0"
    if whole < MINUTE or nanoseconds < SECOND:
        size, unit = next((one for one in UNITS if min(whole, 2 * nanoseconds) >= 2 * one[0]), UNITS[-1])
        return f"{nanoseconds / size:.{_digits(step, size)}f} {unit}"
    digits = _digits(step, SECOND)
    ticks = round(nanoseconds * 10**digits / SECOND)
    minutes, rest = divmod(ticks, 60 * 10**digits)
    seconds = f"{rest / 10**digits:0{digits + 3 if digits else 2}.{digits}f}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds}" if hours else f"{minutes}:{seconds}"


def _digits(step: int, size: int) -> int:
    """Return the number of decimals that a multiple of `step` needs in units of `size`."""
    digits = 0
    while step * 10**digits % size:
        digits += 1
    return digits
