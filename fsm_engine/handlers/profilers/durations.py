"""Durations of one thing: the newest of them, and statistics of all."""

from __future__ import annotations

from array import array
from math import sqrt
from operator import mul


class Durations:
    """Durations in nanoseconds, in the order in which they were measured.

    Args:
        capacity: the number of durations that `update` keeps.

    Attributes:
        kept: the newest durations, at 8 bytes each. Those added since the last update are not in the statistics yet.
        add: a function that adds a duration.
        count: the number of durations.
        total: their sum.
        min: the shortest duration and its index, from 0.
        max: the longest duration and its index.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity, self.kept = capacity, array("q")
        self.add = self.kept.append
        self.clear()

    def clear(self) -> None:
        """Remove all durations."""
        del self.kept[:]
        self.count = self.total = self._squares = self._updated = 0
        self.min = self.max = (0, 0)

    def update(self) -> None:
        """Update the statistics, and drop the oldest durations beyond the capacity."""
        new = self.kept[self._updated :]
        if new:
            low, high = min(new), max(new)
            if not self.count or low < self.min[0]:
                self.min = low, self.count + new.index(low)
            if not self.count or high > self.max[0]:
                self.max = high, self.count + new.index(high)
            self.count += len(new)
            self.total += sum(new)
            self._squares += sum(map(mul, new, new))
        del self.kept[: -self._capacity]
        self._updated = len(self.kept)

    @property
    def seconds(self) -> list[float]:
        """The kept durations in seconds."""
        return [duration / 1e9 for duration in self.kept]

    @property
    def mean(self) -> float:
        """The mean of one or more durations."""
        return self.total / self.count

    @property
    def std(self) -> float:
        """The standard deviation of two or more durations. It is exact, because the sums are of integers."""
        return sqrt((self.count * self._squares - self.total**2) / (self.count * (self.count - 1)))
