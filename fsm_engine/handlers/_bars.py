"""What a progress bar is for the library that draws it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol


class Shown(NamedTuple):
    """What a bar shows.

    Attributes:
        description: stands in front.
        n: how much is done.
        total: of how much; None if unknown.
        values: numbers and strings by name.
    """

    description: str
    n: int
    total: int | None
    values: Mapping[str, Any]


class Bar(Protocol):
    """A bar that is on the screen."""

    def show(self, shown: Shown) -> None:
        """Draw it again."""

    def close(self, shown: Shown) -> None:
        """End it; if it stays on the screen, then with this."""


class Bars(Protocol):
    """Makes bars.

    Attributes:
        interval: how many seconds lie between two looks of a bar, at least.
        persist: whether bars stay on the screen.
    """

    interval: float
    persist: bool

    def open(self, shown: Shown) -> Bar:
        """Draw a new bar, below those that are there."""
        ...

    def write(self, message: str) -> None:
        """Print a line above the bars."""
