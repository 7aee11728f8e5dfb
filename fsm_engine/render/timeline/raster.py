"""The picture of a timeline as PNG or PDF: Graphviz draws the shapes of its SVG."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from fsm_engine.render.raster import DENSITY, graphviz

_NUMBER = re.compile(r"-?[\d.]+")
_NAMESPACE = "{http://www.w3.org/2000/svg}"


def raster(svg: str, format: str) -> bytes:  # noqa: A002  # the word that draw() uses
    """Return a picture that `timeline.svg` drew as ``"png"`` or ``"pdf"``.

    Raises:
        ImportError: pygraphviz is not installed; the message says how to.
    """
    canvas: Any = graphviz(format).AGraph(directed=True, strict=False)
    picture = ElementTree.fromstring(svg)
    width, height = _numbers(picture.get("viewBox", ""))[2:]
    canvas.graph_attr.update(
        bgcolor="transparent",
        outputorder="edgesfirst",  # lines lie below bars, and texts above all
        dpi=str(DENSITY if format == "png" else 72),
        pad="0",
        bb=f"0,0,{width:.2f},{height:.2f}",
    )
    font = picture.get("font-family", "")
    canvas.node_attr.update(fontname=font, shape="box", label="", margin="0", fixedsize="true")
    _Canvas(canvas, width, height).draw(picture)
    drawn: bytes = canvas.draw(format=format, prog="nop2")
    return drawn


class _Canvas:
    def __init__(self, canvas: Any, width: float, height: float) -> None:
        self.canvas, self.height, self.count = canvas, height, 0
        for corner, at in {"lower left": (0.0, height), "upper right": (width, 0.0)}.items():
            canvas.add_node(corner, style="invis", shape="point", width="0.01", pos=self._pos(*at))

    def draw(self, part: ElementTree.Element, opacity: float = 1.0) -> None:
        for child in part:
            faint = opacity * float(child.get("opacity", "1"))
            kind = child.tag.removeprefix(_NAMESPACE)
            if kind == "g":
                self.draw(child, faint)
            elif kind == "rect":
                self._rect(child, faint)
            elif kind in ("line", "path"):
                self._lines(child, faint)
            elif kind == "text":
                self._text(child, faint)

    def _rect(self, rect: ElementTree.Element, opacity: float) -> None:
        fill, stroke = _colour(rect, "fill", opacity), _colour(rect, "stroke", opacity)
        if rect.get("width") == "100%":
            self.canvas.graph_attr["bgcolor"] = fill
            return
        x, y, width, height = (float(rect.get(name, "0")) for name in ("x", "y", "width", "height"))
        look = {"fillcolor": fill, "color": stroke or fill, "penwidth": rect.get("stroke-width", "0")}
        self._node(
            (x + width / 2, y + height / 2),
            width=f"{width / 72:.4f}",
            height=f"{height / 72:.4f}",
            style="filled" if fill else "solid",
            **{name: value for name, value in look.items() if value},
        )

    def _lines(self, line: ElementTree.Element, opacity: float) -> None:
        """Draw lines from point to point; those of a path are apart."""
        dash = "dotted" if line.get("stroke-dasharray") else "solid"
        for start, end in _ends(line):
            self.count += 1
            spline = " ".join(self._pos(*point) for point in (start, start, end, end))
            self.canvas.add_edge(
                "lower left",
                "upper right",
                key=str(self.count),
                pos=spline,
                color=_colour(line, "stroke", opacity),
                penwidth=line.get("stroke-width", "1"),
                style=dash,
                arrowhead="none",
            )

    def _text(self, text: ElementTree.Element, opacity: float) -> None:
        size = float(text.get("font-size", "0"))
        at = float(text.get("x", "0")), float(text.get("y", "0")) - 0.35 * size
        label = (text.text or "").replace("\\", "\\\\")
        colour = _colour(text, "fill", opacity)
        self._node(at, shape="none", fixedsize="false", label=label, fontsize=f"{size:g}", fontcolor=colour)

    def _node(self, at: tuple[float, float], **look: str) -> None:
        self.count += 1
        self.canvas.add_node(f"n{self.count}", pos=self._pos(*at), **look)

    def _pos(self, x: float, y: float) -> str:
        return f"{x:.2f},{self.height - y:.2f}"


_Point = tuple[float, float]


def _ends(line: ElementTree.Element) -> Iterator[tuple[_Point, _Point]]:
    if line.tag.endswith("line"):
        x1, y1, x2, y2 = (float(line.get(name, "0")) for name in ("x1", "y1", "x2", "y2"))
        yield (x1, y1), (x2, y2)
        return
    for stroke in line.get("d", "").split("M")[1:]:
        x1, y1, x2, y2 = _numbers(stroke)
        yield (x1, y1), (x2, y2)


def _numbers(text: str) -> list[float]:
    return [float(number) for number in _NUMBER.findall(text)]


def _colour(part: ElementTree.Element, name: str, opacity: float) -> str:
    """Return a colour with its opacity, as ``#rrggbbaa``; empty for none."""
    colour = part.get(name, "none")
    share = opacity * float(part.get(f"{name}-opacity", "1"))
    return "" if colour == "none" else f"{colour}{round(255 * share):02x}"
