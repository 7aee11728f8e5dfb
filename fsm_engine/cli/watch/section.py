"""`Section`: a part of the panel beside the lifecycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text


@dataclass(frozen=True)
class Section:
    """A heading with lines.

    Attributes:
        title: the heading.
        lines: the lines, the most important first.
    """

    title: str
    lines: Sequence[Text]

    def shown(self, most: int | None = None) -> list[Text]:
        """Return the heading and at most `most` lines. The heading has the number of lines that are left out."""
        left_out = 0 if most is None else len(self.lines) - most
        return [
            Text.assemble((self.title, "bold"), (f"  {left_out} more" if left_out else "", "dim")),
            *self.lines[:most],
        ]
