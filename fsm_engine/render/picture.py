"""A diagram with positions, in pixels from the upper left corner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from fsm_engine.render.diagram import Box, Edge, Node
from fsm_engine.render.text_metrics import Text
from fsm_engine.render.themes import CHANGE_SIGNS

Point = tuple[float, float]


class Rect(NamedTuple):
    """A rectangle, given by its centre and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        """The x coordinate of the left side."""
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        """The x coordinate of the right side."""
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        """The y coordinate of the upper side."""
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        """The y coordinate of the lower side."""
        return self.y + self.height / 2

    def overlaps(self, other: Rect, margin: float = 0) -> bool:
        """Return True if the two rectangles overlap, or are less than `margin` apart."""
        return (
            abs(self.x - other.x) * 2 < self.width + other.width + 2 * margin
            and abs(self.y - other.y) * 2 < self.height + other.height + 2 * margin
        )


@dataclass(frozen=True)
class Label:
    """A text and its bounding box. The text is centred in it."""

    text: Text
    bounds: Rect


@dataclass(frozen=True)
class PlacedNode:
    """A node with its position.

    Attributes:
        node: the node.
        bounds: its outline.
        name: its text, broken into lines.
        notes: its notes, broken into lines.
        inner: the picture inside the node, and the position of the upper left corner of that picture.
    """

    node: Node
    bounds: Rect
    name: Text
    notes: Text
    inner: tuple[Picture, Point] | None = None

    def header(self) -> Rect:
        """Return the part of the node above its inner picture; the whole node without one."""
        if self.inner is None:
            return self.bounds
        height = self.inner[1][1] - self.bounds.top
        return self.bounds._replace(y=self.bounds.top + height / 2, height=height)

    def labels(self) -> Iterator[Label]:
        """Yield the texts in the node: its name, with a change sign if it has one, and its notes."""
        name, notes, header = self.name, self.notes, self.header()
        if self.node.change is not None:
            name = name._replace(lines=(f"{CHANGE_SIGNS[self.node.change]} {name.lines[0]}", *name.lines[1:]))
        top = header.y - (name.height + notes.height) / 2
        yield Label(name, Rect(header.x, top + name.height / 2, name.width, name.height))
        if notes.lines:
            yield Label(notes, Rect(header.x, top + name.height + notes.height / 2, notes.width, notes.height))


@dataclass(frozen=True)
class PlacedBox:
    """A box with its position, and its title in the upper left corner."""

    box: Box
    bounds: Rect
    title: Label


@dataclass(frozen=True)
class Route:
    """An edge as a polyline. The last point is the tip of the arrow."""

    edge: Edge
    points: tuple[Point, ...]
    label: Label | None


@dataclass(frozen=True)
class LegendEntry:
    """An entry of the legend.

    Attributes:
        sample: a node or an edge that is drawn as those in the picture; None for a text alone.
        bounds: the place of the sample.
        label: its meaning.
    """

    sample: Node | Edge | None
    bounds: Rect
    label: Label


@dataclass(frozen=True)
class Strip:
    """A part of a folded picture.

    Attributes:
        source: the part, in the coordinates of the parts of the picture.
        place: the upper left corner at which it is shown.
    """

    source: Rect
    place: Point


@dataclass(frozen=True)
class Connector:
    """A letter in a circle at the end of a line that another strip continues.

    Attributes:
        end: the end of the line, at the border of the strip.
        label: the letter.
    """

    end: Point
    label: Label


@dataclass(frozen=True)
class Picture:
    """A diagram with positions. Outer boxes come before inner ones.

    A folded picture shows its nodes, boxes and routes in strips. Its size, title and legend, and the connectors at the
    ends of lines between strips, have the coordinates of the whole.
    """

    width: float
    height: float
    nodes: tuple[PlacedNode, ...]
    boxes: tuple[PlacedBox, ...]
    routes: tuple[Route, ...]
    title: Label | None = None
    legend: tuple[LegendEntry, ...] = ()
    strips: tuple[Strip, ...] = ()
    connectors: tuple[Connector, ...] = ()

    def moved(self, dx: float, dy: float = 0.0) -> Picture:
        """Return the picture, which has no legend yet, with all parts moved."""

        def rect(one: Rect) -> Rect:
            return one._replace(x=one.x + dx, y=one.y + dy)

        def label(one: Label | None) -> Label | None:
            return None if one is None else replace(one, bounds=rect(one.bounds))

        def node(one: PlacedNode) -> PlacedNode:
            inner = one.inner and (one.inner[0], (one.inner[1][0] + dx, one.inner[1][1] + dy))
            return replace(one, bounds=rect(one.bounds), inner=inner)

        def box(one: PlacedBox) -> PlacedBox:
            title = replace(one.title, bounds=rect(one.title.bounds))
            return replace(one, bounds=rect(one.bounds), title=title)

        def route(one: Route) -> Route:
            return replace(one, points=tuple((x + dx, y + dy) for x, y in one.points), label=label(one.label))

        if self.strips:
            strips = (replace(one, place=(one.place[0] + dx, one.place[1] + dy)) for one in self.strips)
            connectors = (
                Connector((one.end[0] + dx, one.end[1] + dy), replace(one.label, bounds=rect(one.label.bounds)))
                for one in self.connectors
            )
            return replace(self, strips=tuple(strips), connectors=tuple(connectors), title=label(self.title))
        return replace(
            self,
            nodes=tuple(map(node, self.nodes)),
            boxes=tuple(map(box, self.boxes)),
            routes=tuple(map(route, self.routes)),
            title=label(self.title),
        )
