"""Geometry of the lines of edges: straight segments with rounded corners."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import copysign, hypot

from fsm_engine.render.picture import Point

CORNER_RADIUS = 8.0
Corner = tuple[Point, Point, Point]


def direction(start: Point, end: Point) -> Point:
    """Return the unit vector from `start` to `end`; the zero vector if they are the same point."""
    x, y = end[0] - start[0], end[1] - start[1]
    length = hypot(x, y) or 1.0
    return x / length, y / length


def shorten(points: Sequence[Point], by: float) -> list[Point]:
    """Return `points` with the last one moved back by `by` pixels, which leaves space for an arrowhead."""
    (x, y), (dx, dy) = points[-1], direction(points[-2], points[-1])
    return [*points[:-1], (x - dx * by, y - dy * by)]


def corners(points: Sequence[Point]) -> Iterator[Corner]:
    """Yield the start of the rounding, the corner point, and the end of the rounding, for each corner."""
    for before, corner, after in zip(points, points[1:], points[2:]):
        radius = min(CORNER_RADIUS, _length(before, corner) / 2, _length(corner, after) / 2)
        yield _moved_towards(corner, before, radius), corner, _moved_towards(corner, after, radius)


def _length(start: Point, end: Point) -> float:
    return abs(start[0] - end[0]) + abs(start[1] - end[1])  # segments are horizontal or vertical


def _moved_towards(start: Point, end: Point, by: float) -> Point:
    def step(one: float, other: float) -> float:
        return one if one == other else one + copysign(by, other - one)

    return step(start[0], end[0]), step(start[1], end[1])
