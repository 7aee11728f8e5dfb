"""How much room a text takes, without asking a font: the widths of Helvetica, which Arial and Liberation Sans share."""

from __future__ import annotations

from functools import cache
from textwrap import wrap
from typing import NamedTuple
from unicodedata import combining, east_asian_width

NAME_SIZE, NOTE_SIZE, LABEL_SIZE, TITLE_SIZE = 13.0, 11.0, 11.5, 17.0
"""Sizes of fonts in pixels: of a phase's name, of what stands below it, at an edge or a box, and above the picture."""

LINE_HEIGHT = 1.22
"""The height of a line in units of its font."""

# Adobe's font metrics of Helvetica, in thousandths of the size, from the space to the tilde.
_WIDTHS = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556),
    *(1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556),
    *(333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556),
    *(556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584),
)


class Text(NamedTuple):
    """Lines of text in one size.

    Attributes:
        lines: top to bottom.
        size: of the font, in pixels.
    """

    lines: tuple[str, ...]
    size: float

    @property
    def width(self) -> float:
        """How wide it is, in pixels."""
        return max((width(line, self.size) for line in self.lines), default=0.0)

    @property
    def height(self) -> float:
        """How tall it is, in pixels."""
        return len(self.lines) * self.size * LINE_HEIGHT


@cache
def width(line: str, size: float) -> float:
    """Return how wide a line of text is, in pixels."""
    return sum(map(_letter, line)) * size / 1000


def _letter(letter: str) -> int:
    place = ord(letter) - 32
    if 0 <= place < len(_WIDTHS):
        return _WIDTHS[place]
    if combining(letter):
        return 0
    return 1000 if east_asian_width(letter) in "WF" else 667


@cache
def wrap_evenly(text: str, most: int, size: float) -> Text:
    """Return `text` in as few lines of at most `most` letters as will do, each about as long as the others."""
    few = len(wrap(text, most))
    tries = (wrap(text, length, break_long_words=False) for length in range(1, most))
    return Text(tuple(next((lines for lines in tries if len(lines) <= few), wrap(text, most))), size)


def name(text: str, most: int = 20) -> Text:
    """Return the name of a phase: one of several words that is long takes two lines."""
    if len(text) <= most or "_" not in text.strip("_"):
        return Text((text,), NAME_SIZE)
    breaks = [place + 1 for place, letter in enumerate(text) if letter == "_" and 0 < place < len(text) - 1]
    middle = min(breaks, key=lambda place: abs(place - len(text) / 2), default=0)
    return Text((text[:middle], text[middle:]) if middle else (text,), NAME_SIZE)
