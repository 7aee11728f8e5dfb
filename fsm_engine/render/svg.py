"""Pictures as SVG: searchable text that CSS can style, without scripts and without external resources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import ceil
from xml.sax.saxutils import escape, quoteattr

from fsm_engine.render.diagram import Edge, EdgeKind, Mark, Node, NodeKind
from fsm_engine.render.layout_cost import segments
from fsm_engine.render.picture import Connector, Label, Picture, PlacedBox, PlacedNode, Point, Rect, Route, Strip
from fsm_engine.render.polylines import corners, direction, shorten
from fsm_engine.render.text_metrics import LINE_HEIGHT, text_width
from fsm_engine.render.themes import THEMES, Theme, dark_colours, without_choice

ROUNDING = 11.0
ARROW_LENGTH = 9.0
CONNECTOR_RADIUS = 5.5

FOLLOWS_READER = "fsm-engine-auto"
"""Class of a document whose colours follow the reader's colour scheme."""


def to_svg(picture: Picture, theme: Theme) -> str:
    """Return `picture` as an SVG document.

    Nodes, edges and boxes are groups with the classes ``node``, ``edge`` and ``box``. Their attributes ``data-node``,
    ``data-source``, ``data-target``, ``data-label`` and ``data-box`` hold the ids and labels of the diagram.
    """
    return svg_document(picture.width, picture.height, picture.title, theme, partial(_content, picture))


def svg_document(
    width: float, height: float, title: Label | None, theme: Theme, content: Callable[[Theme], Iterable[str]]
) -> str:
    """Return an SVG document with the background of a theme, a title, and a content.

    The size is rounded up to whole pixels; a fraction would leave a strip without background. With the theme "auto",
    the document has the light colours as attributes, which every program understands, and a style with the dark ones
    for readers who prefer them.

    Args:
        width: width in pixels.
        height: height in pixels.
        title: title at the top.
        theme: colours.
        content: returns the elements in the colours of a theme.
    """
    width, height = ceil(width), ceil(height)
    colours = without_choice(theme)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    classes = "" if colours is theme else f' class="{FOLLOWS_READER}"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg"{classes} {size} font-family={quoteattr(theme.font)} role="img">']
    if title is not None:
        lines.append(f"<title>{escape(title.text.lines[0])}</title>")
    body = [text_elements(title, colours.text, "bold")] if title is not None else []
    body += content(colours)
    if colours is not theme:
        lines.append(_dark_style("".join(body)))
    if colours.background is not None:
        lines.append(f'<rect class="background" width="100%" height="100%" fill="{colours.background}"/>')
    return "\n".join([*lines, *body, "</svg>"]) + "\n"


def _dark_style(body: str) -> str:
    """Return the style that replaces the light colours in `body` by the dark ones. It applies to its document only."""
    rules = [f".{FOLLOWS_READER} .background{{fill:{THEMES['dark'].background}}}"]
    for light, dark in dark_colours().items():
        for attribute in ("fill", "stroke"):
            if f'{attribute}="{light}"' in body:
                rules.append(f'.{FOLLOWS_READER} [{attribute}="{light}"]{{{attribute}:{dark}}}')
    return f"<style>@media (prefers-color-scheme:dark){{{''.join(rules)}}}</style>"


def _content(picture: Picture, theme: Theme) -> Iterator[str]:
    if picture.strips:
        for strip in picture.strips:
            yield from _strip(picture, strip, theme)
    else:
        yield from _drawing(picture, theme)
    for connector in picture.connectors:
        yield _connector(connector, theme)
    for entry in picture.legend:
        yield f'<g class="legend">{_sample(entry.sample, entry.bounds, theme)}'
        yield text_elements(entry.label, theme.text) + "</g>"


def _connector(connector: Connector, theme: Theme) -> str:
    bounds = connector.label.bounds
    stub = shorten([connector.end, (bounds.x, bounds.y)], CONNECTOR_RADIUS)
    line = f'<path d="{_path(stub)}" fill="none" stroke="{theme.line}" stroke-width="1.4"/>'
    circle = _circle(bounds, CONNECTOR_RADIUS, None, theme.line)
    return f'<g class="connector">{line}{circle}{text_elements(connector.label, theme.text)}</g>'


def _strip(picture: Picture, strip: Strip, theme: Theme) -> Iterator[str]:
    """Yield a strip of a folded picture: a viewport, and the parts that it shows."""
    source, (x, y) = strip.source, strip.place
    size = f'width="{source.width:.1f}" height="{source.height:.1f}"'
    view = f"{source.left:.1f} {source.top:.1f} {source.width:.1f} {source.height:.1f}"
    yield f'<svg class="strip" x="{x:.1f}" y="{y:.1f}" {size} viewBox="{view}">'
    shown = replace(
        picture,
        nodes=tuple(node for node in picture.nodes if node.bounds.overlaps(source)),
        boxes=tuple(box for box in picture.boxes if box.bounds.overlaps(source)),
        routes=tuple(r for r in picture.routes if any(line.overlaps(source) for line in segments(r.points))),
    )
    yield from _drawing(shown, theme)
    yield "</svg>"


def _drawing(picture: Picture, theme: Theme) -> Iterator[str]:
    for box in picture.boxes:
        yield from _box(box, theme)
    for route in sorted(picture.routes, key=lambda route: route.edge.main):
        yield from _edge(route, theme)
    for node in picture.nodes:
        yield from _node(node, theme)


def _sample(sample: Node | Edge | None, bounds: Rect, theme: Theme) -> str:
    """Return a small node or edge in the colours and the line that it has in the picture."""
    if sample is None:
        return ""
    if isinstance(sample, Edge):
        return _line((bounds.left, bounds.y), (bounds.right, bounds.y), sample, theme)
    if Mark.CURRENT in sample.marks:
        return rounded_rect(bounds, None, theme.current, 3, 5)
    paint = theme.node_paint(sample)
    return rounded_rect(bounds, paint.fill, paint.border, 1.5, 3, _dash(sample))


def _line(start: Point, tip: Point, edge: Edge, theme: Theme) -> str:
    colour = theme.edge_colour(edge)
    path = f'<path d="{_path(_visible([start, tip], edge))}" {_stroke(edge, colour)}/>'
    return path + _arrowhead(start, tip, edge, colour)


def _group(classes: str, tip: str, **data: str) -> str:
    """Return the start of a group, with `tip` as its tooltip."""
    attributes = "".join(f" data-{name}={quoteattr(value)}" for name, value in data.items())
    return f'<g class="{classes}"{attributes}>' + (f"<title>{escape(tip)}</title>" if tip else "")


def line_width(edge: Edge) -> float:
    """Return the width of the line of `edge` in pixels: wider the more often a recorded run took it."""
    if edge.weight is None:
        return 3.2 if edge.main else 1.4
    return 1.2 + 4.8 * edge.weight


def _box(placed: PlacedBox, theme: Theme) -> Iterator[str]:
    box = placed.box
    yield _group("box", "", box=box.id)
    yield rounded_rect(placed.bounds, None, theme.box, 1.2, ROUNDING)
    yield text_elements(placed.title, theme.text) + "</g>"


def _node(placed: PlacedNode, theme: Theme) -> Iterator[str]:
    node, bounds = placed.node, placed.bounds
    paint = theme.node_paint(node)
    marks = [*sorted(mark.value for mark in node.marks), *(["main"] * node.main), *(["unvisited"] * node.unvisited)]
    classes = " ".join(["node", node.kind.value, *marks])
    yield _group(classes, node.tip, node=node.id)
    if Mark.CURRENT in node.marks:
        yield rounded_rect(_grown(bounds, 4), None, theme.current, 3, ROUNDING + 4, css_class="halo")
    if node.kind is NodeKind.INITIAL:
        yield _circle(bounds, bounds.width / 2, paint.border, paint.border)
    elif node.kind is NodeKind.FINAL:
        ring = _circle(bounds, bounds.width / 2 - 1, None, paint.border)
        yield ring + _circle(bounds, bounds.width / 2 - 5, paint.border, None)
    elif node.kind is NodeKind.HISTORY:
        yield _circle(bounds, bounds.width / 2, paint.fill, paint.border)
        yield from _texts_and_inner(placed, theme)
    else:
        if placed.inner:
            yield rounded_rect(bounds, None, paint.border, 2, ROUNDING)
        yield rounded_rect(placed.header(), paint.fill, paint.border, 1.5, ROUNDING, _dash(node))
        yield from _texts_and_inner(placed, theme)
    yield "</g>"


def _dash(node: Node) -> str:
    return "4 3" if Mark.CALLBACK in node.marks else ""


def _texts_and_inner(placed: PlacedNode, theme: Theme) -> Iterator[str]:
    picture, (x, y) = placed.inner or (None, (0.0, 0.0))
    for label in placed.labels():
        yield text_elements(label, theme.node_paint(placed.node).text)
    if picture is not None:
        yield f'<g class="inner" transform="translate({x:.1f} {y:.1f})">'
        yield from _content(picture, theme)
        yield "</g>"


_DASHES = {EdgeKind.DISCOVERED: ' stroke-dasharray="5 4"', EdgeKind.SIGNAL: ' stroke-dasharray="2 3"'}


def _edge(route: Route, theme: Theme) -> Iterator[str]:
    edge = route.edge
    colour = theme.edge_colour(edge)
    unvisited = edge.weight == 0
    classes = " ".join(["edge", edge.kind.value, *(["main"] * edge.main), *(["unvisited"] * unvisited)])
    yield _group(classes, edge.tip, source=edge.source, target=edge.target, label=edge.text)
    yield f'<path d="{_path(_visible(route.points, edge))}" {_stroke(edge, colour)}/>'
    yield _arrowhead(route.points[-2], route.points[-1], edge, colour)
    if route.label is not None:
        coloured = edge.kind is EdgeKind.ERROR or edge.change is not None
        usual = colour if coloured else theme.text
        yield text_elements(route.label, theme.unvisited.text if unvisited else usual)
    yield "</g>"


def _visible(points: Sequence[Point], edge: Edge) -> list[Point]:
    """Return the part of the line of `edge` that its arrowhead does not cover."""
    return shorten(points, 2 if edge.kind is EdgeKind.FIRED else ARROW_LENGTH - 1)


def _stroke(edge: Edge, colour: str) -> str:
    dash = "" if edge.main else _DASHES.get(edge.kind, "")
    return f'fill="none" stroke="{colour}" stroke-width="{line_width(edge)}"{dash}'


def _arrowhead(before: Point, tip: Point, edge: Edge, colour: str) -> str:
    """Return the arrowhead at `tip`: open for edges that the step fires, filled for all others."""
    length, half = (ARROW_LENGTH + 3, 5.5) if edge.main else (ARROW_LENGTH, 4.0)
    if edge.weight is not None:
        half = 2.5 + 0.8 * line_width(edge)
    dx, dy = direction(before, tip)
    base = tip[0] - dx * length, tip[1] - dy * length
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


def _grown(rect: Rect, by: float) -> Rect:
    return rect._replace(width=rect.width + 2 * by, height=rect.height + 2 * by)


def rounded_rect(
    rect: Rect, fill: str | None, stroke: str, line: float, rounding: float, dash: str = "", css_class: str = ""
) -> str:
    """Return a rectangle with rounded corners. Without `fill`, it is transparent."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    classes = f' class="{css_class}"' if css_class else ""
    return (
        f'<rect{classes} x="{rect.left:.1f}" y="{rect.top:.1f}" width="{rect.width:.1f}" height="{rect.height:.1f}" '
        f'rx="{rounding:g}" fill="{fill or "none"}" stroke="{stroke}" stroke-width="{line:g}"{dashes}/>'
    )


def _circle(bounds: Rect, radius: float, fill: str | None, stroke: str | None) -> str:
    line = f' stroke="{stroke}" stroke-width="1.5"' if stroke else ""
    return f'<circle cx="{bounds.x:.1f}" cy="{bounds.y:.1f}" r="{radius:.1f}" fill="{fill or "none"}"{line}/>'


def text_elements(label: Label, colour: str, weight: str = "") -> str:
    """Return a text element for each line of `label`.

    Each element has the width that the layout computed, so viewers without Helvetica stretch or squeeze their font.
    """
    text, bounds = label.text, label.bounds
    step = text.size * LINE_HEIGHT
    first = bounds.y - (len(text.lines) - 1) * step / 2 + text.size * 0.35
    bold = f' font-weight="{weight}"' if weight else ""
    return "".join(
        f'<text x="{bounds.x:.1f}" y="{first + number * step:.1f}" font-size="{text.size:g}" text-anchor="middle" '
        f'textLength="{text_width(line, text.size):.1f}" lengthAdjust="spacingAndGlyphs" '
        f'fill="{colour}"{bold}>{escape(line)}</text>'
        for number, line in enumerate(text.lines)
    )
