"""Durations of the same thing: the newest are kept, and statistics of all."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from operator import mul


@dataclass(frozen=True)
class Statistics:
    """What is known about some durations, in nanoseconds; exact, as all of it is whole numbers.

    Attributes:
        count: how many there were.
        total: their sum.
        squares: the sum of their squares.
        min: the shortest, and which one that was, from 0.
        max: the longest, likewise.
    """

    count: int = 0
    total: int = 0
    squares: int = 0
    min: tuple[int, int] = (0, 0)
    max: tuple[int, int] = (0, 0)

    @property
    def mean(self) -> float:
        """How long one took on average."""
        return self.total / self.count

    @property
    def std(self) -> float:
        """The standard deviation, of two or more."""
        return sqrt((self.count * self.squares - self.total**2) / (self.count * (self.count - 1)))

    def plus(self, more: Sequence[int]) -> Statistics:
        """Return the statistics of these and `more`."""
        if not more:
            return self
        low, high = min(more), max(more)
        lowest, highest = (low, self.count + more.index(low)), (high, self.count + more.index(high))
        return Statistics(
            self.count + len(more),
            self.total + sum(more),
            self.squares + sum(map(mul, more, more)),
            min(self.min, lowest) if self.count else lowest,
            max(self.max, highest, key=_longest_first) if self.count else highest,
        )


def _longest_first(found: tuple[int, int]) -> tuple[int, int]:
    return found[0], -found[1]


class Durations:
    """Durations in the order in which they were taken.

    Attributes:
        kept: the newest, in nanoseconds.
        add: adds one; it stays the same function.
    """

    def __init__(self) -> None:
        self.kept = array("q")
        self.add = self.kept.append
        self._folded = Statistics()

    @property
    def statistics(self) -> Statistics:
        """The statistics of all."""
        return self._folded.plus(self.kept)

    @property
    def forgotten(self) -> int:
        """How many are only in the statistics."""
        return self._folded.count

    def keep(self, room: int) -> None:
        """Forget all but the newest `room`, except for the statistics."""
        gone = len(self.kept) - room
        if gone > 0:
            self._folded = self._folded.plus(self.kept[:gone])
            del self.kept[:gone]

    def clear(self) -> None:
        """Forget everything."""
        del self.kept[:]
        self._folded = Statistics()
