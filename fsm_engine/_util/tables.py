"""Tables of aligned columns as plain text."""

from __future__ import annotations

from collections.abc import Sequence


def align(rows: Sequence[Sequence[str]], left: int | None = None, between: str = "  ") -> list[str]:
    """Return one line per row, with the cells of each column aligned.

    Args:
        rows: rows of cells, all of the same length.
        left: number of left-aligned columns; the columns after them are right-aligned. By default, all are
            left-aligned.
        between: separator of columns.
    """
    columns = [
        [cell.ljust(width) if left is None or number < left else cell.rjust(width) for cell in column]
        for number, (column, width) in enumerate((column, max(map(len, column))) for column in zip(*rows))
    ]
    return [between.join(line).rstrip() for line in zip(*columns)]
