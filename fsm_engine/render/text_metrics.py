"""Sizes of texts in the metrics of Helvetica, which Arial and Liberation Sans share. No font is read."""

from __future__ import annotations

from functools import cache
from textwrap import wrap
from typing import NamedTuple
from unicodedata import combining, east_asian_width

NAME_SIZE, NOTE_SIZE, LABEL_SIZE, TITLE_SIZE = 13.0, 11.0, 11.5, 17.0
"""Font sizes in pixels: names of phases, notes below them, labels of edges and boxes, the title of the picture."""

LINE_HEIGHT = 1.22
"""Height of a line, as a multiple of the font size."""

# Adobe's font metrics of Helvetica, in thousandths of the font size, from space to tilde.
_WIDTHS = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556),
    *(1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556),
    *(333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556),
    *(556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584),
)


class Text(NamedTuple):
    """Lines of text in one font size.

    Attributes:
        lines: from top to bottom.
        size: font size in pixels.
    """

    lines: tuple[str, ...]
    size: float

    @property
    def width(self) -> float:
        """Width of the widest line, in pixels."""
        return max((text_width(line, self.size) for line in self.lines), default=0.0)

    @property
    def height(self) -> float:
        """Height of all lines, in pixels."""
        return len(self.lines) * self.size * LINE_HEIGHT


@cache
def text_width(line: str, size: float) -> float:
    """Return the width of a line of text in a font of `size` pixels, in pixels."""
    return sum(map(_character_width, line)) * size / 1000


def _character_width(character: str) -> int:
    index = ord(character) - 32
    if 0 <= index < len(_WIDTHS):
        return _WIDTHS[index]
    if combining(character):
        return 0
    return 1000 if east_asian_width(character) in "WF" else 667


@cache
def wrap_evenly(text: str, most: int, size: float) -> Text:
    """Break `text` into as few lines of at most `most` characters as possible, all of about the same length."""
    count = len(wrap(text, most))
    attempts = (wrap(text, length, break_long_words=False) for length in range(1, most))
    return Text(tuple(next((lines for lines in attempts if len(lines) <= count), wrap(text, most))), size)


def wrap_name(text: str) -> Text:
    """Break the name of a phase into two lines, at the underscore nearest its middle, if it has over 20 letters."""
    if len(text) <= 20 or "_" not in text.strip("_"):
        return Text((text,), NAME_SIZE)
    breaks = [index + 1 for index, letter in enumerate(text) if letter == "_" and 0 < index < len(text) - 1]
    middle = min(breaks, key=lambda index: abs(index - len(text) / 2), default=0)
    return Text((text[:middle], text[middle:]) if middle else (text,), NAME_SIZE)
