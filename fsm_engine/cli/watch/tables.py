"""Tables of text that fit a number of columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

_LEAST = 8
"""The width to which a column may be cut. A dim column that would be narrower is left out."""


def table(rows: Sequence[Sequence[str]], sides: str, width: int) -> list[Text]:
    """Return a line for each row, at most `width` wide if the numbers leave room for that.

    Args:
        rows: the cells.
        sides: a character per column: ``<`` for left, ``>`` for right, ``.`` for left and dim. Dim columns are cut
            first, then others from the last one on, those at the right never.
        width: the room.
    """
    widths = _widths([max(map(cell_len, column)) for column in zip(*rows)], sides, width)
    return [
        Text("  ").join(_cell(cell, room, side) for cell, room, side in zip(row, widths, sides) if room) for row in rows
    ]


def _widths(widths: list[int], sides: str, width: int) -> list[int]:
    for side in ".<":
        for number in [number for number in reversed(range(len(sides))) if sides[number] == side]:
            excess = sum(widths) + 2 * (sum(map(bool, widths)) - 1) - width
            if excess > 0 and widths[number] - excess < _LEAST:
                widths[number] = 0 if side == "." else min(widths[number], _LEAST)
            elif excess > 0:
                widths[number] -= excess
    return widths


def _cell(text: str, width: int, side: str) -> Text:
    if side == ">":
        text = " " * (width - cell_len(text)) + text
    return Text(cut(text, width), "dim" if side == "." else "")


def cut(text: str, width: int) -> str:
    """Return `text` as exactly `width` columns, with an ellipsis where it was cut."""
    return set_cell_size(text, width) if cell_len(text) <= width else f"{set_cell_size(text, max(width - 1, 0))}…"
