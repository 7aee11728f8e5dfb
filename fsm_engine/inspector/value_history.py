"""The values of a run for pages that connect later: each curve with a bounded number of points."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 1000
"""The most points of a curve. Beyond that, every second one is dropped."""

Point = tuple[int, float | str, int]
"""An iteration, a value, and a time in nanoseconds."""


class ValueHistory:
    """The points of one curve, evenly thinned."""

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._last: Point | None = None
        self._stride, self._count = 1, 0

    def add(self, points: Iterable[Point]) -> None:
        """Add points."""
        for point in points:
            if self._count % self._stride == 0:
                self._points.append(point)
            self._count += 1
            self._last = point
            if len(self._points) >= MOST:
                self._points, self._stride = self._points[::2], self._stride * 2

    @property
    def points(self) -> list[Point]:
        """The kept points; the last point is always among them."""
        is_kept = not self._points or self._points[-1] is self._last
        return self._points if is_kept or self._last is None else [*self._points, self._last]
