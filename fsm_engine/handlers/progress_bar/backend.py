"""The interface between the progress bar and the library that draws it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

DRAWS_PER_SECOND = 10
"""Highest number of times that one bar is drawn in a second."""


class BarContent(NamedTuple):
    """Text and numbers that a bar shows.

    Attributes:
        description: text in front of the bar.
        n: number of iterations or epochs done.
        total: number of iterations or epochs to do; None if unknown.
        values: numbers and strings to show behind the bar, by name.
    """

    description: str
    n: int
    total: int | None
    values: Mapping[str, Any]

    def text_of_values(self, format_value: Callable[[Any], str]) -> str:
        """Return the values as text, such as ``"loss=0.5, acc=0.9"``."""
        return ", ".join(f"{name}={format_value(value)}" for name, value in self.values.items())


class Bar(Protocol):
    """A bar on the screen."""

    def update(self, content: BarContent) -> None:
        """Draw the bar with `content`."""

    def close(self, content: BarContent) -> None:
        """Close the bar. A bar that stays on the screen shows `content`."""


class Backend(Protocol):
    """Opens bars on one output.

    Attributes:
        interval: shortest time between two draws of a bar, in seconds.
        persist: True if closed bars stay on the screen.
    """

    interval: float
    persist: bool

    def open(self, content: BarContent) -> Bar:
        """Draw a new bar below the open bars."""
        ...

    def write(self, message: str) -> None:
        """Print a line above the open bars."""
