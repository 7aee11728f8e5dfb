"""A diagram that was laid out: where everything stands, in pixels from the upper left corner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from fsm_engine.render.diagram import Box, Edge, Node
from fsm_engine.render.text_metrics import Text
from fsm_engine.render.themes import CHANGE_SIGNS

Point = tuple[float, float]


class Rect(NamedTuple):
    """A rectangle by its middle and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        """Where it begins."""
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        """Its upper end."""
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        """Its lower end."""
        return self.y + self.height / 2

    def meets(self, other: Rect, apart: float = 0) -> bool:
        """Say whether it is less than `apart` from another, or overlaps it."""
        return (
            abs(self.x - other.x) * 2 < self.width + other.width + 2 * apart
            and abs(self.y - other.y) * 2 < self.height + other.height + 2 * apart
        )


@dataclass(frozen=True)
class Label:
    """A text, in the middle of the room that it takes."""

    text: Text
    room: Rect


@dataclass(frozen=True)
class PlacedNode:
    """A node where it stands.

    Attributes:
        node: what it shows.
        room: its outline.
        name: its text, in lines.
        notes: the small lines below.
        inner: the picture inside it, and where the upper left corner of that is.
    """

    node: Node
    room: Rect
    name: Text
    notes: Text
    inner: tuple[Picture, Point] | None = None

    def head(self) -> Rect:
        """Return the part of it above the picture inside it; all of it if there is none."""
        if self.inner is None:
            return self.room
        height = self.inner[1][1] - self.room.top
        return self.room._replace(y=self.room.top + height / 2, height=height)

    def texts(self) -> Iterator[Label]:
        """Yield what is written in it: its name, with a sign if it differs, and the small lines below."""
        name, notes, head = self.name, self.notes, self.head()
        if self.node.change is not None:
            name = name._replace(lines=(f"{CHANGE_SIGNS[self.node.change]} {name.lines[0]}", *name.lines[1:]))
        top = head.y - (name.height + notes.height) / 2
        yield Label(name, Rect(head.x, top + name.height / 2, name.width, name.height))
        if notes.lines:
            yield Label(notes, Rect(head.x, top + name.height + notes.height / 2, notes.width, notes.height))


@dataclass(frozen=True)
class PlacedBox:
    """A scope where it stands, with its name in the upper left corner."""

    box: Box
    room: Rect
    title: Label


@dataclass(frozen=True)
class Route:
    """An edge as it runs: straight from point to point, the last being the tip of the arrow."""

    edge: Edge
    points: tuple[Point, ...]
    label: Label | None


@dataclass(frozen=True)
class Swatch:
    """A colour for shares of the time from `share` on, and what is written beside it."""

    share: float
    room: Rect
    text: Label


@dataclass(frozen=True)
class Picture:
    """Everything where it stands. Outer boxes come before inner ones."""

    width: float
    height: float
    nodes: tuple[PlacedNode, ...]
    boxes: tuple[PlacedBox, ...]
    routes: tuple[Route, ...]
    title: Label | None = None
    legend: tuple[Swatch, ...] = ()
