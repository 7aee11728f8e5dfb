"""Tables as plain text."""

from __future__ import annotations

from collections.abc import Sequence


def align(rows: Sequence[Sequence[str]], left: int | None = None, between: str = "  ") -> list[str]:
    """Return a line for each row, with the cells of a column below each other.

    Args:
        rows: equally long.
        left: how many columns are flush left, those behind them flush right; all are, unless it is given.
        between: what stands between two columns.
    """
    columns = [
        [cell.ljust(width) if left is None or number < left else cell.rjust(width) for cell in column]
        for number, (column, width) in enumerate((column, max(map(len, column))) for column in zip(*rows))
    ]
    return [between.join(line).rstrip() for line in zip(*columns)]
