"""How bad a layout is: what stands on something else, lines that cross or run along each other, its size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from fsm_engine.render.diagram import Edge
from fsm_engine.render.picture import Point, Rect

HIT, ALONG, CROSSING = 1e5, 1e4, 8.0
"""What it costs that something stands on something else, runs along another line, or crosses one."""

_NEAR = 0.5
"""How far around everything nothing else is to be."""

_LONG = 4.0
"""How long a stretch is that two lines share for them to be taken for one."""


class _Thing(NamedTuple):
    """A room, or a line of an edge, with what is near it."""

    left: float
    right: float
    top: float
    bottom: float
    owner: object
    edge: Edge | None  # of a line


def cost(rooms: Mapping[object, Rect], routes: Mapping[Edge, tuple[Point, ...]], boxes: Iterable[Rect]) -> float:
    """Return how bad it is that nodes and texts take `rooms`, their owners being ids and edges, and edges run so."""
    things = [_thing(room, owner, None) for owner, room in rooms.items()]
    things += [_thing(line, edge, edge) for edge, points in routes.items() for line in lines(points)]
    every = [*things, *(_thing(box, None, None) for box in boxes)]
    width = max(thing.right for thing in every) - min(thing.left for thing in every)
    height = max(thing.bottom for thing in every) - min(thing.top for thing in every)
    return sum(_price(one, other) for one, other in _meetings(things)) + width + height


def lines(points: Iterable[Point]) -> Iterator[Rect]:
    """Yield the straight lines from point to point."""
    for (x, y), (to_x, to_y) in pairwise(points):
        yield Rect((x + to_x) / 2, (y + to_y) / 2, abs(to_x - x), abs(to_y - y))


def _thing(room: Rect, owner: object, edge: Edge | None) -> _Thing:
    half_width, half_height = room.width / 2 + _NEAR, room.height / 2 + _NEAR
    return _Thing(room.x - half_width, room.x + half_width, room.y - half_height, room.y + half_height, owner, edge)


def _meetings(things: Iterable[_Thing]) -> Iterator[tuple[_Thing, _Thing]]:
    """Yield the pairs that are near each other. It looks from top to bottom, and at what is still open there."""
    open_: list[_Thing] = []
    for thing in sorted(things, key=lambda thing: thing.top):
        left, right, top = thing.left, thing.right, thing.top
        open_ = [other for other in open_ if other.bottom > top]
        yield from ((other, thing) for other in open_ if other.left < right and left < other.right)
        open_.append(thing)


def _price(one: _Thing, other: _Thing) -> float:
    if one.edge is None or other.edge is None:
        return 0.0 if _belong(one, other) or _belong(other, one) else HIT
    if one.edge is other.edge:
        return 0.0
    wide = min(one.right, other.right) - max(one.left, other.left)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    if max(wide, high) > _LONG:
        joined = one.edge.target == other.edge.target or one.edge.source == other.edge.source
        return 0.0 if joined else ALONG
    return CROSSING if _crosses(one, other) else 0.0


def _crosses(one: _Thing, other: _Thing) -> bool:
    """Say whether two lines go on behind the point where they meet."""
    by = 2 * _NEAR + 0.01
    wide = one.left + by < other.right and other.left + by < one.right
    return wide and one.top + by < other.bottom and other.top + by < one.bottom


def _belong(line: _Thing, room: _Thing) -> bool:
    """Say whether a line leads to a room, or the room is that of the text at it."""
    return line.edge is not None and room.owner in (line.edge, line.edge.source, line.edge.target)
