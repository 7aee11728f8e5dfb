"""Durations as text."""

from __future__ import annotations

SECOND, MINUTE, HOUR = 10**9, 60 * 10**9, 3600 * 10**9
UNITS = ((SECOND, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))
"""The units of durations under a minute, in nanoseconds, longest first."""


def format_duration(nanoseconds: float) -> str:
    """Return a duration with three digits and its unit, such as ``1.25 ms``, or as ``2 h 5 min``."""
    if nanoseconds >= HOUR:
        return f"{nanoseconds // HOUR:.0f} h {nanoseconds % HOUR // MINUTE:.0f} min"
    if nanoseconds >= MINUTE:
        return f"{nanoseconds // MINUTE:.0f} min {nanoseconds % MINUTE // SECOND:.0f} s"
    size, unit = next((one for one in UNITS if nanoseconds >= 0.9995 * one[0]), UNITS[-1])
    return f"{nanoseconds / size:.3g} {unit}"
