"""The cost of a layout: overlaps, lines that cross or run along each other, and the size of the picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from fsm_engine.render.diagram import Edge
from fsm_engine.render.picture import Point, Rect

OVERLAP_COST, PARALLEL_COST, CROSSING_COST = 1e5, 1e4, 8.0
"""Cost of a pair in which one part lies on the other, of two lines on top of each other, and of two crossing lines.

The unit is a pixel of width or height of the picture.
"""

_CLEARANCE = 0.5
"""Distance in pixels around each part in which no other part may be."""

_SHARED_LENGTH = 4.0
"""Length in pixels from which on two lines in the same place look like one."""


class _Part(NamedTuple):
    """The bounding box, with clearance, of a node, a label, or a segment of an edge.

    Attributes:
        owner: id of the node, or the edge.
        edge: the edge of a segment; None for nodes and labels.
    """

    left: float
    right: float
    top: float
    bottom: float
    owner: object
    edge: Edge | None


def layout_cost(
    bounds: Mapping[object, Rect], routes: Mapping[Edge, tuple[Point, ...]], boxes: Iterable[Rect]
) -> float:
    """Return the cost of a layout; lower is better.

    Args:
        bounds: bounding boxes of nodes by id, and of labels by edge.
        routes: polylines of edges.
        boxes: outlines of boxes; they count for the size of the picture only.
    """
    parts = [_part(rect, owner, None) for owner, rect in bounds.items()]
    parts += [_part(segment, edge, edge) for edge, points in routes.items() for segment in segments(points)]
    every = [*parts, *(_part(box, None, None) for box in boxes)]
    width = max(part.right for part in every) - min(part.left for part in every)
    height = max(part.bottom for part in every) - min(part.top for part in every)
    return sum(_pair_cost(one, other) for one, other in _overlapping(parts)) + width + height


def segments(points: Iterable[Point]) -> Iterator[Rect]:
    """Yield the segments of a polyline, as rectangles without width or height."""
    for (x, y), (to_x, to_y) in pairwise(points):
        yield Rect((x + to_x) / 2, (y + to_y) / 2, abs(to_x - x), abs(to_y - y))


def _part(rect: Rect, owner: object, edge: Edge | None) -> _Part:
    half_width, half_height = rect.width / 2 + _CLEARANCE, rect.height / 2 + _CLEARANCE
    return _Part(rect.x - half_width, rect.x + half_width, rect.y - half_height, rect.y + half_height, owner, edge)


def _overlapping(parts: Iterable[_Part]) -> Iterator[tuple[_Part, _Part]]:
    """Yield the pairs of parts that overlap, by a sweep from top to bottom."""
    active: list[_Part] = []
    for part in sorted(parts, key=lambda part: part.top):
        left, right, top = part.left, part.right, part.top
        active = [other for other in active if other.bottom > top]
        yield from ((other, part) for other in active if other.left < right and left < other.right)
        active.append(part)


def _pair_cost(one: _Part, other: _Part) -> float:
    if one.edge is None or other.edge is None:
        return 0.0 if _belongs_to(one, other) or _belongs_to(other, one) else OVERLAP_COST
    if one.edge is other.edge:
        return 0.0
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    if max(width, height) > _SHARED_LENGTH:
        joined = one.edge.target == other.edge.target or one.edge.source == other.edge.source
        return 0.0 if joined else PARALLEL_COST
    return CROSSING_COST if _cross(one, other) else 0.0


def _cross(one: _Part, other: _Part) -> bool:
    """Return True if two segments cross; False if one of them ends at the other."""
    margin = 2 * _CLEARANCE + 0.01
    across = one.left + margin < other.right and other.left + margin < one.right
    return across and one.top + margin < other.bottom and other.top + margin < one.bottom


def _belongs_to(segment: _Part, part: _Part) -> bool:
    """Return True if `part` is the source, the target or the label of the edge of `segment`."""
    return segment.edge is not None and part.owner in (segment.edge, segment.edge.source, segment.edge.target)
