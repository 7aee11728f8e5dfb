"""Curves of values in bounded memory, and their pictures in a few characters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

MOST_POINTS = 2000
"""The most points of a curve. A longer one keeps every second point."""

_BLOCKS = " ▁▂▃▄▅▆▇█"


class Curve:
    """The points of a value over iterations."""

    def __init__(self) -> None:
        self.points: list[tuple[float, float]] = []

    def extend(self, points: Iterable[Sequence[float | str]]) -> None:
        """Add points. The server may repeat points: those from the first new iteration on are replaced."""
        new = [(float(point[0]), float(point[1])) for point in points]
        if new:
            while self.points and self.points[-1][0] >= new[0][0] and self.points[-1][0] > 0:
                self.points.pop()
            self.points += new
        while len(self.points) > MOST_POINTS:
            self.points = [*self.points[:-1:2], self.points[-1]]

    @property
    def finite(self) -> list[float]:
        """The values that are finite numbers."""
        return [value for _, value in self.points if math.isfinite(value)]

    @property
    def last(self) -> float:
        """The last value."""
        return self.points[-1][1]


def sparkline(curve: Curve, width: int, rows: int = 1) -> list[str]:
    """Return a picture of `curve`: lines of block characters from top to bottom.

    Each column is the mean of the points in an equal part of the iterations. A column without a finite value is empty.
    """
    means = _columns(curve, width)
    known = [mean for mean in means if mean is not None]
    if not known:
        return [" " * width] * rows
    low, high = min(known), max(known)
    steps = rows * (len(_BLOCKS) - 1) - 1
    levels = [None if mean is None else round((mean - low) / ((high - low) or 1) * steps) + 1 for mean in means]
    return ["".join(_block(level, row) for level in levels) for row in range(rows - 1, -1, -1)]


def _block(level: int | None, row: int) -> str:
    full = len(_BLOCKS) - 1
    return _BLOCKS[min(max((level or 0) - row * full, 0), full)]


def _columns(curve: Curve, width: int) -> list[float | None]:
    first, last = curve.points[0][0], curve.points[-1][0]
    size = (last - first) / width or 1
    sums, counts = [0.0] * width, [0] * width
    for iteration, value in curve.points:
        if math.isfinite(value):
            column = min(int((iteration - first) / size), width - 1)
            sums[column] += value
            counts[column] += 1
    return _filled([total / count if count else None for total, count in zip(sums, counts)])


def _filled(means: list[float | None]) -> list[float | None]:
    """Return the columns, with the mean to their left in empty ones: a value lasts until the next one."""
    filled: list[float | None] = []
    for mean in means:
        filled.append(mean if mean is not None or not filled else filled[-1])
    return filled
