"""The steps and the labels of a time axis."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from fsm_engine.timeline.units import HOUR, MINUTE, SECOND, UNITS

_LONG_STEPS = tuple(n * MINUTE for n in (1, 2, 5, 10, 15, 30)) + tuple(n * HOUR for n in (1, 2, 5, 10))


def tick_steps() -> Iterator[int]:
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
