"""A picture as PNG or PDF: drawn by Graphviz, which is told where everything stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fsm_engine.render.diagram import EdgeKind, Mark, NodeKind
from fsm_engine.render.metrics import LINE
from fsm_engine.render.paths import corners, shortened
from fsm_engine.render.picture import Label, Picture, PlacedNode, Point, Rect, Route
from fsm_engine.render.svg import breadth
from fsm_engine.render.themes import Theme

DENSITY = 144
"""Dots per inch of a PNG, in which a pixel of the SVG is a point: twice as many pixels each way."""

_HEADS = {EdgeKind.FIRED: "vee"}
_DASHES = {EdgeKind.DISCOVERED: "dashed", EdgeKind.SIGNAL: "dotted"}


def raster(picture: Picture, theme: Theme, format: str) -> bytes:  # noqa: A002  # the word that draw() uses
    """Return `picture` as ``"png"`` or ``"pdf"``.

    Raises:
        ImportError: pygraphviz is not installed; the message says how to.
    """
    canvas: Any = graphviz(format).AGraph(directed=True, strict=False)
    canvas.graph_attr.update(
        bgcolor=theme.background or "transparent",
        outputorder="edgesfirst",
        dpi=str(DENSITY if format == "png" else 72),
        pad="0",
        bb=f"0,0,{picture.width:.2f},{picture.height:.2f}",
    )
    canvas.node_attr.update(fontname=theme.font, shape="none", label="", margin="0")
    canvas.edge_attr.update(fontname=theme.font)
    _Canvas(canvas, theme, picture).draw(picture, (0.0, 0.0))
    drawn: bytes = canvas.draw(format=format, prog="nop2")
    return drawn


def graphviz(format: str) -> Any:  # noqa: A002
    """Return the package that draws files of that format.

    Raises:
        ImportError: it is not installed; the message says how to.
    """
    try:
        import pygraphviz  # type: ignore[import-untyped]
    except ImportError:
        raise ImportError(
            f"A picture as {format} is drawn by Graphviz. Install it with pip install 'fsm-engine[draw]', or draw "
            f"an .svg, which needs nothing more."
        ) from None
    return pygraphviz


class _Canvas:
    def __init__(self, canvas: Any, theme: Theme, picture: Picture) -> None:
        self.canvas, self.theme, self.height, self.count = canvas, theme, picture.height, 0
        for corner, at in {"lower left": (0.0, picture.height), "upper right": (picture.width, 0.0)}.items():
            canvas.add_node(corner, style="invis", shape="point", width="0.01", pos=self._pos(at))

    def draw(self, picture: Picture, by: Point) -> None:
        theme = self.theme
        if picture.title is not None:
            self._text(picture.title, theme.text, by)
        for box in picture.boxes:
            self._shape(box.room, by, shape="box", style="rounded", color=theme.box)
            self._text(box.title, theme.text, by)
        for route in picture.routes:
            self._edge(route, by)
        for node in picture.nodes:
            self._node(node, by)
        for swatch in picture.legend:
            paint = theme.warm(swatch.share)
            self._shape(swatch.room, by, paint.fill, shape="box", style="rounded", color=paint.border)
            self._text(swatch.text, theme.text, by)

    def _pos(self, point: Point, by: Point = (0.0, 0.0)) -> str:
        return f"{point[0] + by[0]:.2f},{self.height - point[1] - by[1]:.2f}"

    def _shape(self, room: Rect, by: Point, fill: str | None = None, **look: str) -> None:
        self.count += 1
        size = {"width": f"{room.width / 72:.4f}", "height": f"{room.height / 72:.4f}", "fixedsize": "true"}
        if fill is not None:
            look |= {"style": f"{look.get('style', '')},filled".lstrip(","), "fillcolor": fill}
        self.canvas.add_node(f"n{self.count}", pos=self._pos((room.x, room.y), by), **size, **look)

    def _text(self, label: Label, colour: str, by: Point) -> None:
        step = label.text.size * LINE
        first = label.room.y - (len(label.text.lines) - 1) * step / 2
        for number, line in enumerate(label.text.lines):
            self.count += 1
            at = self._pos((label.room.x, first + number * step), by)
            text = line.replace("\\", "\\\\")
            size = f"{label.text.size:g}"
            self.canvas.add_node(f"n{self.count}", label=text, pos=at, fontcolor=colour, fontsize=size)

    def _node(self, placed: PlacedNode, by: Point) -> None:
        node, room, paint = placed.node, placed.room, self.theme.paint(placed.node)
        if Mark.CURRENT in node.marks:
            around = room._replace(width=room.width + 8, height=room.height + 8)
            self._shape(around, by, shape="box", style="rounded", color=self.theme.current, penwidth="3")
        if node.kind is NodeKind.INITIAL:
            self._shape(room, by, paint.border, shape="circle", color=paint.border)
        elif node.kind is NodeKind.FINAL:
            self._shape(room, by, shape="circle", color=paint.border)
            inner = room._replace(width=room.width - 8, height=room.height - 8)
            self._shape(inner, by, paint.border, shape="circle", color=paint.border)
        else:
            shape = "circle" if node.kind is NodeKind.HISTORY else "box"
            style = "rounded,dashed" if Mark.CALLBACK in node.marks else "rounded"
            if placed.inner:
                self._shape(room, by, shape="box", style="rounded", color=paint.border, penwidth="2")
            self._shape(placed.head(), by, paint.fill, shape=shape, style=style, color=paint.border)
            for label in placed.texts():
                self._text(label, paint.text, by)
        if placed.inner:
            picture, (x, y) = placed.inner
            self.draw(picture, (by[0] + x, by[1] + y))

    def _edge(self, route: Route, by: Point) -> None:
        edge, theme = route.edge, self.theme
        colour = theme.stroke(edge)
        look: Mapping[str, str] = {
            "color": colour,
            "penwidth": f"{breadth(edge):.2g}",
            "arrowsize": "0.85" if edge.main else "0.75",
            "arrowhead": _HEADS.get(edge.kind, "normal"),
            "style": "solid" if edge.main else _DASHES.get(edge.kind, "solid"),
        }
        tip = self._pos(route.points[-1], by)
        spline = " ".join(self._pos(point, by) for point in _bezier(shortened(route.points, 8)))
        self.canvas.add_edge("lower left", "upper right", key=str(self.count), pos=f"e,{tip} {spline}", **look)
        self.count += 1
        if route.label is not None:
            self._text(route.label, colour if edge.kind is EdgeKind.ERROR or edge.change else theme.text, by)


def _bezier(points: list[Point]) -> Iterator[Point]:
    """Yield the points of a cubic spline: lines, and roundings at the corners."""
    last = points[0]
    yield last
    for enter, corner, leave in corners(points):
        yield from (last, enter, enter)
        yield from (_between(enter, corner), _between(leave, corner), leave)
        last = leave
    yield from (last, points[-1], points[-1])


def _between(start: Point, end: Point) -> Point:
    return start[0] + (end[0] - start[0]) * 2 / 3, start[1] + (end[1] - start[1]) * 2 / 3
