"""Times as people read them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))
_SECOND, _MINUTE, _HOUR = 10**9, 60 * 10**9, 3600 * 10**9
_LONG = tuple(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)) + tuple(n * _HOUR for n in (1, 2, 5, 10))


def duration(nanoseconds: float) -> str:
    """Return a duration with three digits and its unit, such as ``1.25 ms`` or ``2 h 5 min``."""
    if nanoseconds >= _HOUR:
        return f"{nanoseconds // _HOUR:.0f} h {nanoseconds % _HOUR // _MINUTE:.0f} min"
    if nanoseconds >= _MINUTE:
        return f"{nanoseconds // _MINUTE:.0f} min {nanoseconds % _MINUTE // _SECOND:.0f} s"
    size, unit = next((one for one in _UNITS if nanoseconds >= 0.9995 * one[0]), _UNITS[-1])
    return f"{nanoseconds / size:.3g} {unit}"


def steps() -> Iterator[int]:
    """Yield the distances that marks of an axis may have, in nanoseconds, in their order."""
    yield from (digit * 10**power for power in range(10) for digit in (1, 2, 5))
    yield from (10 * _SECOND, 20 * _SECOND, 30 * _SECOND)
    yield from _LONG
    yield from (day * 24 * _HOUR for day in count(1))


def moment(nanoseconds: int, step: int, whole: int) -> str:
    """Return a time since the start as it is written at a mark of an axis.

    Args:
        nanoseconds: the time.
        step: how far apart the marks are, which says how many digits are needed.
        whole: the last time of the axis, which says in which unit all are.
    """
    if not nanoseconds:
        return "0"
    if whole < _MINUTE or nanoseconds < _SECOND:
        size, unit = next((one for one in _UNITS if min(whole, 2 * nanoseconds) >= 2 * one[0]), _UNITS[-1])
        return f"{nanoseconds / size:.{_digits(step, size)}f} {unit}"
    digits = _digits(step, _SECOND)
    ticks = round(nanoseconds * 10**digits / _SECOND)
    minutes, rest = divmod(ticks, 60 * 10**digits)
    seconds = f"{rest / 10**digits:0{digits + 3 if digits else 2}.{digits}f}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds}" if hours else f"{minutes}:{seconds}"


def _digits(step: int, size: int) -> int:
    digits = 0
    while step * 10**digits % size:
        digits += 1
    return digits
