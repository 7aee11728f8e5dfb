"""Layout of a diagram: the main path runs straight through the middle, everything else is beside it.

The layout is found by local search: each attempt lays out the whole diagram, and the cheapest one wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from operator import attrgetter

from fsm_engine.render.columns import Size
from fsm_engine.render.diagram import Box, Diagram, Edge, Node
from fsm_engine.render.layout_attempt import Attempt
from fsm_engine.render.layout_cost import segments
from fsm_engine.render.picture import Label, Picture, PlacedBox, PlacedNode, Point, Rect, Route
from fsm_engine.render.rows import Rows
from fsm_engine.render.text_metrics import LABEL_SIZE, TITLE_SIZE, Text

MARGIN = 8.0
"""Space around the picture, in pixels."""

MAX_SEARCHED_NODES = 60
"""Largest number of nodes for which better layouts are searched. Larger diagrams use the first attempt."""

MAX_ROW_CANDIDATES = 6
"""Number of other nodes whose row the search tries for each node."""


def lay_out(diagram: Diagram) -> Picture:
    """Return `diagram` with positions. Large diagrams take up to a few seconds."""
    rows = Rows(diagram)
    inner = {node.id: lay_out(node.inner) for node in diagram.nodes if node.inner is not None}
    attempt = partial(Attempt, diagram, rows, inner)
    best = attempt({}, frozenset())
    if len(diagram.nodes) > MAX_SEARCHED_NODES:
        return _picture(best)
    for node in rows.order:
        choices = [{**best.shared, node: other} for other in _row_candidates(rows, node, best.shared)]
        best = min((best, *(attempt(shared, best.flipped) for shared in choices)), key=attrgetter("cost"))
    for edge in [edge for edge in diagram.edges if best.columns.may_flip(edge)]:
        best = min(best, attempt(best.shared, best.flipped | {edge}), key=attrgetter("cost"))
    return _picture(best)


def _row_candidates(rows: Rows, node: str, shared: Mapping[str, str]) -> list[str]:
    """Return the nodes whose row `node` may share, the nearest first: in the same box, and not earlier in rank.

    A node on the main path has no candidates, and neither has a node whose row is shared already.
    """
    if not rows.side[node] or node in shared.values():
        return []
    index, first = rows.order.index(node), rows.rank[node][:1]
    same_box = [n for n in rows.order if rows.enclosing[n] == rows.enclosing[node] and n != node and n not in shared]
    later = (n for n in same_box if rows.rank[n] >= first)
    return sorted(later, key=lambda n: abs(rows.order.index(n) - index))[:MAX_ROW_CANDIDATES]


def _picture(attempt: Attempt) -> Picture:
    """Return the picture of an attempt, with the upper left corner at (0, 0) and the title above."""
    names = attempt.diagram.names
    nodes = {node: attempt.node_bounds(node) for node in names}
    every = [*nodes.values(), *attempt.boxes.values(), *attempt.label_bounds.values()]
    every += [segment for points in attempt.routes.values() for segment in segments(points)]
    transform = _Transform(attempt.transposed, min(r.left for r in every), min(r.top for r in every))
    width, height = transform.size(max(r.right for r in every), max(r.bottom for r in every))
    title = Text((attempt.diagram.title,), TITLE_SIZE) if attempt.diagram.title else None
    transform.shift = title.height + 14 if title else 0.0
    width = max(width, title.width + 2 * MARGIN if title else 0)
    routes = tuple(
        Route(edge, tuple(map(transform.point, points)), _label(attempt, edge, transform))
        for edge, points in attempt.routes.items()
    )
    drawn = [segment for route in routes for segment in segments(route.points)]
    return Picture(
        width,
        height + transform.shift,
        tuple(_placed_node(attempt, names[node], transform.rect(bounds)) for node, bounds in nodes.items()),
        tuple(_placed_box(box, transform.rect(attempt.boxes[box.id]), drawn) for box in attempt.diagram.boxes),
        routes,
        Label(title, Rect(width / 2, MARGIN + title.height / 2, title.width, title.height)) if title else None,
    )


class _Transform:
    """Maps coordinates of an attempt to the picture: moves them, and transposes them if it runs to the right."""

    def __init__(self, transposed: bool, left: float, top: float) -> None:
        self.transposed, self.left, self.top, self.shift = transposed, left, top, 0.0

    def point(self, point: Point) -> Point:
        x, y = point[0] - self.left + MARGIN, point[1] - self.top + MARGIN
        return (y, x + self.shift) if self.transposed else (x, y + self.shift)

    def rect(self, rect: Rect) -> Rect:
        x, y = self.point((rect.x, rect.y))
        return Rect(x, y, *((rect.height, rect.width) if self.transposed else (rect.width, rect.height)))

    def size(self, right: float, bottom: float) -> Size:
        width, height = right - self.left + 2 * MARGIN, bottom - self.top + 2 * MARGIN
        return (height, width) if self.transposed else (width, height)


def _placed_node(attempt: Attempt, node: Node, bounds: Rect) -> PlacedNode:
    name, notes = attempt.names[node.id], attempt.notes[node.id]
    inner = attempt.inner.get(node.id)
    corner = (bounds.x - inner.width / 2, bounds.top + name.height + notes.height + 10) if inner else (0.0, 0.0)
    return PlacedNode(node, bounds, name, notes, (inner, corner) if inner else None)


def _label(attempt: Attempt, edge: Edge, transform: _Transform) -> Label | None:
    return Label(attempt.labels[edge], transform.rect(attempt.label_bounds[edge])) if edge in attempt.labels else None


def _placed_box(box: Box, bounds: Rect, drawn: Iterable[Rect]) -> PlacedBox:
    """Return a box with its title in the upper left corner, or further right where the first free space is."""
    title = Text((box.text,), LABEL_SIZE)
    corner = Rect(bounds.left + 9 + title.width / 2, bounds.top + 4 + title.height / 2, title.width, title.height)
    near = [line for line in drawn if line.overlaps(corner._replace(x=bounds.x, width=bounds.width))]
    places = [corner, *(corner._replace(x=x + 6 + title.width / 2) for x in sorted(line.right for line in near))]
    inside = (place for place in places if place.right < bounds.right)
    free = (place for place in inside if not any(line.overlaps(place, 4) for line in near))
    return PlacedBox(box, bounds, Label(title, next(free, corner)))
