"""The lines of edges: straight from point to point, with rounded corners."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import copysign, hypot

from fsm_engine.render.picture import Point

CORNER = 8.0
Corner = tuple[Point, Point, Point]


def unit(start: Point, end: Point) -> Point:
    """Return the direction from one point to another."""
    x, y = end[0] - start[0], end[1] - start[1]
    long = hypot(x, y) or 1.0
    return x / long, y / long


def shortened(points: Sequence[Point], by: float) -> list[Point]:
    """Return the points with the last one moved back, to leave room for an arrowhead."""
    (x, y), (dx, dy) = points[-1], unit(points[-2], points[-1])
    return [*points[:-1], (x - dx * by, y - dy * by)]


def corners(points: Sequence[Point]) -> Iterator[Corner]:
    """Yield where each rounding begins, the corner itself, and where the rounding ends."""
    for before, corner, after in zip(points, points[1:], points[2:]):
        room = min(CORNER, _length(before, corner) / 2, _length(corner, after) / 2)
        yield _towards(corner, before, room), corner, _towards(corner, after, room)


def _length(one: Point, other: Point) -> float:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _towards(start: Point, end: Point, far: float) -> Point:
    def step(one: float, other: float) -> float:
        return one if one == other else one + copysign(far, other - one)

    return step(start[0], end[0]), step(start[1], end[1])
