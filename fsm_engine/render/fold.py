"""Folds a picture that is very wide or very tall, so that it fits a slide: strips of it, one after the other.

A line that runs from a strip into the next one has the same letter at both ends, as connectors in flow charts have.
"""

from __future__ import annotations

import string
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from fsm_engine.render.layout_cost import segments
from fsm_engine.render.picture import Connector, Label, Picture, Point, Rect, Strip
from fsm_engine.render.text_metrics import Text

SLIDE = 1280.0, 720.0
"""Size of a slide in pixels."""

LEGIBLE_SCALE = 0.85
"""A picture that needs no smaller scale to fit a slide is not folded."""

MAX_WIDTH, MAX_HEIGHT = 2.5, 1.6
"""Largest width as a multiple of the height, and largest height as a multiple of the width."""

MOST_STRIPS = 12
"""Largest number of strips that are tried."""

STRIP_GAP, CONNECTOR_SIZE, CONNECTOR_PAD = 36.0, 9.0, 30.0
"""Distance between strips, font size of connectors, and space for them at each end of a strip, in pixels."""

CONNECTOR_DISTANCE, CONNECTOR_STEP = 9.0, 12.5
"""Distance of a connector from the cut, and from its neighbour: one that would cover it is further away."""

CROSSING_COST = 12.0
"""Cost of a line that a cut crosses, as a distance in pixels of the cut from the best place."""


def folded(picture: Picture) -> Picture:
    """Return `picture` in strips if it is too wide or too tall; unchanged if no cut is free of nodes and labels."""
    top = _content_top(picture)
    width, height = picture.width, picture.height - top
    if _scale(picture) >= LEGIBLE_SCALE:
        return picture
    if width > MAX_WIDTH * height:
        return _largest(picture, _Wide(picture, top))
    return _largest(picture, _Tall(picture, top)) if height > MAX_HEIGHT * width else picture


def _content_top(picture: Picture) -> float:
    return 0.0 if picture.title is None else picture.title.bounds.bottom + 6


def _largest(picture: Picture, axis: _Axis) -> Picture:
    """Return the picture with as many strips as make it largest on a slide; unchanged if folding does not help."""
    choices = [picture, *(axis.fold(cuts) for count in range(2, MOST_STRIPS + 1) if (cuts := axis.cuts(count)))]
    return max(choices, key=_scale)


def _scale(picture: Picture) -> float:
    """Return the scale at which a picture fits a slide."""
    return min(SLIDE[0] / picture.width, SLIDE[1] / picture.height)


class _Span(NamedTuple):
    """A part of the axis that no cut may be in."""

    start: float
    end: float


class _Axis:
    """The axis along which a picture is cut."""

    def __init__(self, picture: Picture, top: float) -> None:
        self.picture, self.top = picture, top
        self.start, self.end = self.extent()
        self.blocked = sorted(self._blocked())
        self.lines = [segment for route in picture.routes for segment in segments(route.points)]
        spans = [self.span(line) for line in self.lines]
        self._starts, self._ends = sorted(span.start for span in spans), sorted(span.end for span in spans)

    def extent(self) -> tuple[float, float]:
        raise NotImplementedError

    def span(self, rect: Rect, margin: float = 0.0) -> _Span:
        """Return the part of the axis that a rectangle takes."""
        raise NotImplementedError

    def across(self, rect: Rect) -> float:
        """Return the position of a line on the other axis."""
        raise NotImplementedError

    def fold(self, cuts: list[float]) -> Picture:
        raise NotImplementedError

    def _blocked(self) -> Iterator[_Span]:
        picture = self.picture
        yield from (self.span(node.bounds, 2) for node in picture.nodes)
        yield from (self.span(box.title.bounds, 1) for box in picture.boxes)
        yield from (self.span(route.label.bounds, 1) for route in picture.routes if route.label is not None)
        for box in picture.boxes:
            start, end = self.span(box.bounds)
            yield from (_Span(start - 3, start + 3), _Span(end - 3, end + 3))
        for route in picture.routes:
            for line in segments(route.points):
                if self.span(line)[0] == self.span(line)[1]:
                    yield self.span(line, 3)

    def cuts(self, count: int) -> list[float]:
        """Return the places at which the picture is cut into `count` strips; empty if a cut is not possible."""
        length = (self.end - self.start) / count
        found = [self._cut(self.start + number * length, length / 3) for number in range(1, count)]
        return [] if None in found else [cut for cut in found if cut is not None]

    def _cut(self, wanted: float, most: float) -> float | None:
        """Return the place near `wanted` at which the fewest lines cross, at most `most` pixels away."""
        free = [place for place in self._free() if abs(place - wanted) <= most]
        return min(free, key=lambda at: abs(at - wanted) + CROSSING_COST * self._count(at), default=None)

    def _count(self, cut: float) -> int:
        """Return the number of lines that cross a cut."""
        return bisect_left(self._starts, cut) - bisect_right(self._ends, cut)

    def _free(self) -> Iterator[float]:
        """Yield the middle of each part of the axis that is not blocked."""
        reached = self.start
        for start, end in self.blocked:
            if start > reached + 2:
                yield (reached + start) / 2
            reached = max(reached, end)

    def crossings(self, cut: float) -> list[float]:
        """Return the positions on the other axis of the lines that cross a cut. Lines in one place are one."""
        found: list[float] = []
        for at in sorted(self.across(line) for line in self.lines if self.span(line)[0] < cut < self.span(line)[1]):
            if not found or at - found[-1] > 4:
                found.append(at)
        return found

    def folded(self, sources: Iterable[Rect], places: list[Point], connectors: list[Connector]) -> Picture:
        """Return the picture with the given strips, a size that contains them, and a centred title."""
        strips = tuple(Strip(source, place) for source, place in zip(sources, places))
        width = max(strip.place[0] + strip.source.width for strip in strips)
        height = max(strip.place[1] + strip.source.height for strip in strips)
        title = self.picture.title
        if title is not None:
            width = max(width, title.bounds.width + 16)
            title = replace(title, bounds=title.bounds._replace(x=width / 2))
        return replace(
            self.picture, width=width, height=height, title=title, strips=strips, connectors=tuple(connectors)
        )


class _Tall(_Axis):
    """Cuts from left to right; the strips are columns."""

    def extent(self) -> tuple[float, float]:
        return self.top, self.picture.height

    def span(self, rect: Rect, margin: float = 0.0) -> _Span:
        return _Span(rect.top - margin, rect.bottom + margin)

    def across(self, rect: Rect) -> float:
        return rect.x

    def fold(self, cuts: list[float]) -> Picture:
        width, top = self.picture.width, self.top + CONNECTOR_PAD
        ends = list(pairwise([self.start, *cuts, self.end]))
        sources = [Rect(width / 2, (start + end) / 2, width, end - start) for start, end in ends]
        places = [(number * (width + STRIP_GAP), top if number else self.top) for number in range(len(ends))]
        connectors: list[Connector] = []
        for number, cut in enumerate(cuts):
            bottom, above = places[number][1] + sources[number].height, places[number + 1][1]
            for x, distance in _staggered(self.crossings(cut)):
                here, there = places[number][0] + x, places[number + 1][0] + x
                letter = _letter(len(connectors) // 2)
                connectors.append(_connector(letter, (here, bottom), (here, bottom + distance)))
                connectors.append(_connector(letter, (there, above), (there, above - distance)))
        one = self.folded(sources, places, connectors)
        return replace(one, height=one.height + CONNECTOR_PAD)


class _Wide(_Axis):
    """Cuts from top to bottom; the strips are rows."""

    def extent(self) -> tuple[float, float]:
        return 0.0, self.picture.width

    def span(self, rect: Rect, margin: float = 0.0) -> _Span:
        return _Span(rect.left - margin, rect.right + margin)

    def across(self, rect: Rect) -> float:
        return rect.y

    def fold(self, cuts: list[float]) -> Picture:
        height = self.picture.height - self.top
        ends = list(pairwise([self.start, *cuts, self.end]))
        sources = [Rect((start + end) / 2, self.top + height / 2, end - start, height) for start, end in ends]
        gap = STRIP_GAP / 2
        places = [(CONNECTOR_PAD if n else 0.0, self.top + n * (height + gap)) for n in range(len(ends))]
        connectors: list[Connector] = []
        for number, cut in enumerate(cuts):
            right, left = places[number][0] + sources[number].width, places[number + 1][0]
            for at, distance in _staggered(self.crossings(cut)):
                here, there = (places[strip][1] + at - self.top for strip in (number, number + 1))
                letter = _letter(len(connectors) // 2)
                connectors.append(_connector(letter, (right, here), (right + distance, here)))
                connectors.append(_connector(letter, (left, there), (left - distance, there)))
        one = self.folded(sources, places, connectors)
        return replace(one, width=one.width + CONNECTOR_PAD)


def _staggered(positions: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Yield positions along a cut, each with the distance of its connector from the cut."""
    before, is_near = -CONNECTOR_STEP, False
    for at in positions:
        is_near = not (is_near and at - before < CONNECTOR_STEP)
        yield at, CONNECTOR_DISTANCE if is_near else CONNECTOR_DISTANCE + CONNECTOR_STEP
        before = at


def _letter(number: int) -> str:
    return string.ascii_letters[number % len(string.ascii_letters)]


def _connector(letter: str, end: Point, place: Point) -> Connector:
    text = Text((letter,), CONNECTOR_SIZE)
    return Connector(end, Label(text, Rect(*place, text.width, text.height)))
