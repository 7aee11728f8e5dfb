"""Reads the SVG of a lifecycle as rectangles and lines, and finds overlaps and other faults of its layout."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, pairwise, product
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"
NUMBER = r"-?\d+(?:\.\d+)?"


@dataclass(frozen=True)
class Rect:
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Rect, slack: float = 0.5) -> bool:
        return (
            self.left + slack < other.right
            and other.left + slack < self.right
            and self.top + slack < other.bottom
            and other.top + slack < self.bottom
        )

    def contains(self, other: Rect, slack: float = 0.5) -> bool:
        return (
            self.left - slack <= other.left
            and self.top - slack <= other.top
            and self.right + slack >= other.right
            and self.bottom + slack >= other.bottom
        )


@dataclass
class Part:
    """A node, box or edge of a picture.

    Attributes:
        kind: the class of its SVG group: node, box, edge or legend.
        name: its id; for an edge its label. Parts of an inner picture have the path of nodes around them in front.
        depth: number of pictures around the picture of the part.
        outline: outermost rectangle or circle; None for edges.
        texts: its texts and their bounding boxes.
        lines: segments of an edge.
        ends: source and target of an edge.
        tip: tip of the arrow of an edge.
    """

    kind: str
    name: str
    depth: int
    outline: Rect | None = None
    texts: list[tuple[str, Rect]] = field(default_factory=list)
    lines: list[Rect] = field(default_factory=list)
    ends: tuple[str, str] = ("", "")
    tip: tuple[float, float] = (0.0, 0.0)


def parts(svg: str) -> list[Part]:
    """Return the parts of a picture and of its inner pictures.

    Parts in the strips of a folded picture have the coordinates from before the picture was folded. A part that several
    strips show is returned once.
    """
    root = ElementTree.fromstring(svg)
    found = list(_parts(root, 0.0, 0.0, 0, ""))
    for strip in root.iter(f"{SVG}svg"):
        if strip is not root:
            found += [part for part in _parts(strip, 0.0, 0.0, 0, "") if part not in found]
    return found


def _parts(element: ElementTree.Element, x: float, y: float, depth: int, within: str) -> Iterator[Part]:
    for child in element:
        kinds = (child.get("class") or "").split()
        if child.tag != f"{SVG}g":
            continue
        if "inner" in kinds:
            by_x, by_y = map(float, re.findall(NUMBER, child.get("transform", "")))
            yield from _parts(child, x + by_x, y + by_y, depth + 1, within)
            continue
        kind = kinds[0]
        if kind == "connector":
            continue
        name = within + (child.get("data-node") or child.get("data-box") or child.get("data-label") or "")
        ends = tuple(within + (child.get(f"data-{end}") or "") for end in ("source", "target"))
        part = Part(kind, name, depth, ends=(ends[0], ends[1]))
        for shape in child:
            _read(shape, part, x, y)
        yield part
        yield from _parts(child, x, y, depth, f"{name}/")


def _read(shape: ElementTree.Element, part: Part, x: float, y: float) -> None:
    def number(name: str) -> float:
        return float(shape.get(name, "0"))

    if shape.tag == f"{SVG}text":
        half, size = number("textLength") / 2, number("font-size")
        middle, base = x + number("x"), y + number("y")
        bounds = Rect(middle - half, base - 0.75 * size, middle + half, base + 0.2 * size)
        part.texts.append((shape.text or "", bounds))
    elif shape.tag == f"{SVG}rect":
        left, top = x + number("x"), y + number("y")
        outline = Rect(left, top, left + number("width"), top + number("height"))
        if shape.get("class") != "halo" and (part.outline is None or outline.contains(part.outline)):
            part.outline = outline
    elif shape.tag == f"{SVG}circle":
        radius, cx, cy = number("r"), x + number("cx"), y + number("cy")
        part.outline = part.outline or Rect(cx - radius, cy - radius, cx + radius, cy + radius)
    elif shape.tag == f"{SVG}path":
        at = [(x + float(a), y + float(b)) for a, b in re.findall(rf"({NUMBER}) ({NUMBER})", shape.get("d", ""))]
        part.lines += [
            Rect(min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1])) for a, b in pairwise(at)
        ]
    elif shape.tag in (f"{SVG}polygon", f"{SVG}polyline"):
        at = [(x + float(a), y + float(b)) for a, b in re.findall(rf"({NUMBER}),({NUMBER})", shape.get("points", ""))]
        part.tip = at[1]


def faults(svg: str) -> list[str]:
    """Return descriptions of all faults of the layout; an empty list for a legible picture."""
    found = parts(svg)
    return [*_faults(found), *_faults_of_boxes(found), *_faults_of_lines(found)]


def _faults(found: list[Part]) -> Iterator[str]:
    nodes = [part for part in found if part.kind == "node"]
    boxes = [part for part in found if part.kind == "box"]
    edges = [part for part in found if part.kind == "edge"]
    labels = [(edge, text, bounds) for edge in edges for text, bounds in edge.texts]
    for part in (*nodes, *boxes):
        for text, bounds in part.texts:
            if part.outline is None or not part.outline.contains(bounds):
                yield f"{text!r} is not inside {part.name}"
    for one, other in combinations(nodes, 2):
        if one.outline.overlaps(other.outline) and not other.name.startswith(f"{one.name}/"):
            yield f"{one.name} overlaps {other.name}"
    for one, other in combinations(boxes, 2):
        a, b = one.outline, other.outline
        if a.overlaps(b) and not a.contains(b, 0) and not b.contains(a, 0):
            yield f"the borders of {one.name} and {other.name} cross"
    for edge, text, bounds in labels:
        for node in nodes:
            if bounds.overlaps(node.outline) and not edge.name.startswith(node.name + "/"):
                yield f"{text!r} overlaps {node.name}"
        for other in edges:
            if other is not edge and any(bounds.overlaps(line, 0) for line in map(_grown, other.lines)):
                yield f"the line from {other.ends[0]} to {other.ends[1]} runs through {text!r}"
    for (one, text, bounds), (other, second, place) in combinations(labels, 2):
        if one is not other and bounds.overlaps(place):
            yield f"{text!r} overlaps {second!r}"
    by_name = {part.name: part for part in (*nodes, *boxes)}
    for edge in edges:
        for node in nodes:
            inside = edge.ends[0].startswith(f"{node.name}/")
            if node.name not in edge.ends and not inside and any(_grown(e).overlaps(node.outline) for e in edge.lines):
                yield f"the line from {edge.ends[0]} to {edge.ends[1]} runs through {node.name}"
        target, (x, y) = by_name[edge.ends[1]].outline, edge.tip
        if not target.contains(Rect(x, y, x, y), 1.5):
            yield f"the arrow from {edge.ends[0]} does not reach {edge.ends[1]}"


def _faults_of_boxes(found: list[Part]) -> Iterator[str]:
    """Yield faults of boxes: a line runs through the name of a box, or a border through a label or a node."""
    edges = [part for part in found if part.kind == "edge"]
    for box in (part for part in found if part.kind == "box"):
        assert box.outline is not None
        borders = list(map(_grown, _borders(box.outline)))
        for text, bounds in box.texts:
            for edge in edges:
                if any(bounds.overlaps(line, 0) for line in map(_grown, edge.lines)):
                    yield f"the line from {edge.ends[0]} to {edge.ends[1]} runs through the name {text!r}"
        for part in (part for part in found if part.depth >= box.depth):
            places = [(repr(text), bounds) for text, bounds in part.texts if part.kind == "edge"]
            places += [(part.name, part.outline)] if part.kind == "node" and part.outline else []
            for name, bounds in places:
                if any(bounds.overlaps(border, 0) for border in borders):
                    yield f"the border of {box.name} runs through {name}"


def _borders(box: Rect) -> Iterator[Rect]:
    yield from (Rect(x, box.top, x, box.bottom) for x in (box.left, box.right))
    yield from (Rect(box.left, y, box.right, y) for y in (box.top, box.bottom))


def _faults_of_lines(found: list[Part]) -> Iterator[str]:
    """Yield pairs of edges on top of each other, unless they share their source or their target."""
    for one, other in combinations([part for part in found if part.kind == "edge"], 2):
        if one.ends[0] != other.ends[0] and one.ends[1] != other.ends[1]:
            for line, second in product(one.lines, other.lines):
                if _run_along(line, second):
                    yield f"the lines from {one.ends[0]} and {other.ends[0]} run along each other"


def _run_along(one: Rect, other: Rect) -> bool:
    wide = min(one.right, other.right) - max(one.left, other.left)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    return max(wide, high) > 3 and min(wide, high) > -1


def _grown(line: Rect) -> Rect:
    return Rect(line.left - 0.6, line.top - 0.6, line.right + 0.6, line.bottom + 0.6)
