"""The contrast of each text of an SVG document with the shapes under it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"
RGB = tuple[float, float, float]


def linear(colour: str) -> RGB:
    red, green, blue = (value / 255 for value in _bytes(colour))
    one, two, three = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue))
    return one, two, three


def luminance(colour: str) -> float:
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2: texts need 4.5, large parts 3."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _bytes(colour: str) -> tuple[int, ...]:
    assert re.fullmatch("#[0-9a-f]{6}", colour), colour
    return tuple(int(colour[start : start + 2], 16) for start in (1, 3, 5))


def _over(below: str, above: str, alpha: float) -> str:
    """Return the colour of a shape that covers another, with opacity `alpha`."""
    mixed = (round(a * alpha + b * (1 - alpha)) for a, b in zip(_bytes(above), _bytes(below)))
    return "#" + "".join(f"{value:02x}" for value in mixed)


@dataclass
class _Canvas:
    """Filled shapes in the order in which they are drawn: outline, colour and opacity."""

    rules: dict[tuple[str, str], str]
    shapes: list[tuple[tuple[float, float, float, float], str, float]] = field(default_factory=list)

    def colour(self, element: ElementTree.Element, attribute: str) -> str:
        value = element.get(attribute, "none")
        kinds = (element.get("class") or "").split()
        for name in kinds:
            value = self.rules.get((f".{name}", attribute), value)
        return self.rules.get((value, attribute), value)

    def under(self, x: float, y: float, page: str) -> str:
        for (left, top, right, bottom), colour, alpha in self.shapes:
            if left <= x <= right and top <= y <= bottom:
                page = _over(page, colour, alpha)
        return page


def dark_rules(svg: str) -> dict[tuple[str, str], str]:
    """Return the colours of a document for readers who prefer dark pages, by attribute and colour or class."""
    (style,) = re.findall(r"<style>@media \(prefers-color-scheme:dark\)\{(.*)\}</style>", svg) or [""]
    rules = {(light, name): dark for name, light, dark in re.findall(r'\[(\w+)="(#\w+)"\]\{\1:(#\w+)\}', style)}
    return rules | {(f".{kind}", "fill"): dark for kind, dark in re.findall(r" \.(\w+)\{fill:(#\w+)\}", style)}


def contrasts(svg: str, page: str, rules: dict[tuple[str, str], str] | None = None) -> list[tuple[float, str, str]]:
    """Return the lowest contrast of each text with the colours under it, with the text and its colour.

    Args:
        svg: the document.
        page: the colour of the page around it.
        rules: replaced colours; see `dark_rules`.
    """
    canvas = _Canvas(rules or {})
    return list(_walk(ElementTree.fromstring(svg), canvas, 0.0, 0.0, 1.0, page))


def _strip(
    element: ElementTree.Element, canvas: _Canvas, opacity: float, page: str
) -> Iterator[tuple[float, str, str]]:
    """Yield the texts of a strip of a folded picture that its viewport shows."""
    left, top, width, height = map(float, element.get("viewBox", "").split())
    inside = _Canvas(canvas.rules, [shape for shape in canvas.shapes if shape[0][2] >= 1e6])
    for child in element:
        for text in child.iter(f"{SVG}text"):
            x, y = float(text.get("x", "0")), float(text.get("y", "0"))
            if not (left <= x <= left + width and top <= y <= top + height):
                text.text = None
        yield from _walk(child, inside, 0.0, 0.0, opacity, page)


def _walk(
    element: ElementTree.Element, canvas: _Canvas, x: float, y: float, opacity: float, page: str
) -> Iterator[tuple[float, str, str]]:
    opacity *= float(element.get("opacity", "1"))
    if match := re.match(r"translate\((\S+)[ ,](\S+)\)", element.get("transform", "")):
        x, y = x + float(match[1]), y + float(match[2])

    if element.tag == f"{SVG}svg" and element.get("class") == "strip":
        yield from _strip(element, canvas, opacity, page)
        return

    def number(name: str) -> float:
        value = element.get(name, "0")
        return 1e6 if value == "100%" else float(value)

    if element.tag == f"{SVG}text" and element.text:
        half, size = number("textLength") / 2, number("font-size")
        middle = x + number("x") + {"middle": 0.0, "start": half, "end": -half}[element.get("text-anchor", "start")]
        places = [(middle + part * half, y + number("y") - 0.35 * size) for part in (-0.98, -0.5, 0, 0.5, 0.98)]
        colour = canvas.colour(element, "fill")
        found = [canvas.under(*place, page) for place in places]
        yield min(contrast(_over(below, colour, opacity), below) for below in found), element.text, colour
    elif element.tag in (f"{SVG}rect", f"{SVG}circle"):
        fill = canvas.colour(element, "fill")
        if element.tag == f"{SVG}rect":
            outline = (left := x + number("x"), top := y + number("y"), left + number("width"), top + number("height"))
        else:
            radius, cx, cy = number("r"), x + number("cx"), y + number("cy")
            outline = (cx - radius, cy - radius, cx + radius, cy + radius)
        if fill != "none":
            canvas.shapes.append((outline, fill, opacity * float(element.get("fill-opacity", "1"))))
    for child in element:
        yield from _walk(child, canvas, x, y, opacity, page)
