"""A picture as SVG: text that can be read, searched and styled, without anything that runs or is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil
from xml.sax.saxutils import escape, quoteattr

from fsm_engine.render.diagram import Edge, EdgeKind, Mark, NodeKind
from fsm_engine.render.picture import Label, Picture, PlacedBox, PlacedNode, Point, Rect, Route
from fsm_engine.render.polylines import corners, direction, shorten
from fsm_engine.render.text_metrics import LINE_HEIGHT, text_width
from fsm_engine.render.themes import Theme

ROUNDING, HEAD = 11.0, 9.0


def to_svg(picture: Picture, theme: Theme) -> str:
    """Return `picture` as an SVG document.

    Nodes, edges and boxes are groups with the classes ``node``, ``edge`` and ``box`` and what they stand for as
    attributes ``data-node``, ``data-source``, ``data-target``, ``data-label``, ``data-box``.
    """
    return svg_document(picture.width, picture.height, picture.title, theme, _content(picture, theme))


def svg_document(wide: float, high: float, title: Label | None, theme: Theme, content: Iterable[str]) -> str:
    """Return `content` as a document of that size, with its title above it and the page behind it."""
    wide, high = ceil(wide), ceil(high)  # fractions of a pixel would leave a strip without the background
    size = f'width="{wide}" height="{high}" viewBox="0 0 {wide} {high}"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family={quoteattr(theme.font)} role="img">']
    if title is not None:
        lines.append(f"<title>{escape(title.text.lines[0])}</title>")
    if theme.background is not None:
        lines.append(f'<rect width="100%" height="100%" fill="{theme.background}"/>')
    if title is not None:
        lines.append(text_elements(title, theme.text, "bold"))
    return "\n".join([*lines, *content, "</svg>"]) + "\n"


def _content(picture: Picture, theme: Theme) -> Iterator[str]:
    for box in picture.boxes:
        yield from _box(box, theme)
    for route in sorted(picture.routes, key=lambda route: route.edge.main):
        yield from _edge(route, theme)
    for node in picture.nodes:
        yield from _node(node, theme)
    for swatch in picture.legend:
        paint = theme.warm(swatch.share)
        yield '<g class="legend">' + rounded_rect(swatch.bounds, paint.fill, paint.border, 1, 3)
        yield text_elements(swatch.label, theme.text) + "</g>"


def _group(kind: str, tip: str, **data: str) -> str:
    attributes = "".join(f" data-{name}={quoteattr(value)}" for name, value in data.items())
    return f'<g class="{kind}"{attributes}>' + (f"<title>{escape(tip)}</title>" if tip else "")


def _faint(whether: bool, group: str) -> str:
    return group.replace("<g", '<g opacity="0.35"', 1) if whether else group


def line_width(edge: Edge) -> float:
    """Return how wide the line of an edge is: by how often it was taken, if that is known."""
    if edge.weight is None:
        return 3.2 if edge.main else 1.4
    return 1.2 + 4.8 * edge.weight


def _box(placed: PlacedBox, theme: Theme) -> Iterator[str]:
    box = placed.box
    yield _group("box", "", box=box.id)
    yield rounded_rect(placed.bounds, None, theme.box, 1.2, ROUNDING)
    yield text_elements(placed.title, theme.text) + "</g>"


def _node(placed: PlacedNode, theme: Theme) -> Iterator[str]:
    node, room = placed.node, placed.bounds
    paint = theme.paint(node)
    kinds = " ".join(["node", node.kind.value, *sorted(mark.value for mark in node.marks), *(["main"] * node.main)])
    yield _faint(node.unvisited, _group(kinds, node.tip, node=node.id))
    if Mark.CURRENT in node.marks:
        yield rounded_rect(_grown(room, 4), None, theme.current, 3, ROUNDING + 4).replace("<rect", '<rect class="halo"')
    if node.kind is NodeKind.INITIAL:
        yield _circle(room, room.width / 2, paint.border, paint.border)
    elif node.kind is NodeKind.FINAL:
        yield _circle(room, room.width / 2 - 1, None, paint.border) + _circle(
            room, room.width / 2 - 5, paint.border, None
        )
    elif node.kind is NodeKind.HISTORY:
        yield _circle(room, room.width / 2, paint.fill, paint.border)
        yield from _inside(placed, theme)
    else:
        if placed.inner:
            yield rounded_rect(room, None, paint.border, 2, ROUNDING)
        yield rounded_rect(
            placed.header(), paint.fill, paint.border, 1.5, ROUNDING, "4 3" * (Mark.CALLBACK in node.marks)
        )
        yield from _inside(placed, theme)
    yield "</g>"


def _inside(placed: PlacedNode, theme: Theme) -> Iterator[str]:
    picture, (x, y) = placed.inner or (None, (0.0, 0.0))
    for label in placed.labels():
        yield text_elements(label, theme.paint(placed.node).text)
    if picture is not None:
        yield f'<g class="inner" transform="translate({x:.1f} {y:.1f})">'
        yield from _content(picture, theme)
        yield "</g>"


def _edge(route: Route, theme: Theme) -> Iterator[str]:
    edge = route.edge
    colour, wide = theme.stroke(edge), line_width(edge)
    kinds = " ".join(["edge", edge.kind.value, *(["main"] * edge.main)])
    yield _faint(edge.weight == 0, _group(kinds, edge.tip, source=edge.source, target=edge.target, label=edge.text))
    dashes = {EdgeKind.DISCOVERED: ' stroke-dasharray="5 4"', EdgeKind.SIGNAL: ' stroke-dasharray="2 3"'}
    dash = "" if edge.main else dashes.get(edge.kind, "")
    points = shorten(route.points, 2 if edge.kind is EdgeKind.FIRED else HEAD - 1)
    yield f'<path d="{_path(points)}" fill="none" stroke="{colour}" stroke-width="{wide}"{dash}/>'
    yield _head(route.points[-2], route.points[-1], edge, colour)
    if route.label is not None:
        yield text_elements(route.label, colour if edge.kind is EdgeKind.ERROR or edge.change else theme.text)
    yield "</g>"


def _head(before: Point, tip: Point, edge: Edge, colour: str) -> str:
    """Return an arrowhead: filled for what the engine does by itself, open for what the step fires."""
    long, half = (HEAD + 3, 5.5) if edge.main else (HEAD, 4.0)
    if edge.weight is not None:
        half = 2.5 + 0.8 * line_width(edge)
    dx, dy = direction(before, tip)
    base = tip[0] - dx * long, tip[1] - dy * long
    triangle = (base[0] - dy * half, base[1] + dx * half), tip, (base[0] + dy * half, base[1] - dx * half)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in triangle)
    if edge.kind is EdgeKind.FIRED:
        return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{2.6 if edge.main else 1.6}"/>'
    return f'<polygon points="{points}" fill="{colour}"/>'


def _path(points: list[Point]) -> str:
    parts = [f"M{_xy(points[0])}"]
    parts += [f"L{_xy(enter)}Q{_xy(corner)} {_xy(leave)}" for enter, corner, leave in corners(points)]
    return "".join([*parts, f"L{_xy(points[-1])}"])


def _xy(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _grown(room: Rect, by: float) -> Rect:
    return room._replace(width=room.width + 2 * by, height=room.height + 2 * by)


def rounded_rect(room: Rect, fill: str | None, stroke: str, wide: float, rounding: float, dash: str = "") -> str:
    """Return a rectangle with rounded corners; without a fill, what is behind it shows through."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<rect x="{room.left:.1f}" y="{room.top:.1f}" width="{room.width:.1f}" height="{room.height:.1f}" '
        f'rx="{rounding:g}" fill="{fill or "none"}" stroke="{stroke}" stroke-width="{wide:g}"{dashes}/>'
    )


def _circle(room: Rect, radius: float, fill: str | None, stroke: str | None) -> str:
    line = f' stroke="{stroke}" stroke-width="1.5"' if stroke else ""
    return f'<circle cx="{room.x:.1f}" cy="{room.y:.1f}" r="{radius:.1f}" fill="{fill or "none"}"{line}/>'


def text_elements(label: Label, colour: str, weight: str = "") -> str:
    """Return a text, each line as wide as it was reckoned whatever font is there."""
    text, room = label.text, label.bounds
    step = text.size * LINE_HEIGHT
    first = room.y - (len(text.lines) - 1) * step / 2 + text.size * 0.35
    bold = f' font-weight="{weight}"' if weight else ""
    return "".join(
        f'<text x="{room.x:.1f}" y="{first + number * step:.1f}" font-size="{text.size:g}" text-anchor="middle" '
        f'textLength="{text_width(line, text.size):.1f}" lengthAdjust="spacingAndGlyphs" '
        f'fill="{colour}"{bold}>{escape(line)}</text>'
        for number, line in enumerate(text.lines)
    )
