"""The positions of event names: in rows above each other, so that no event line runs through a name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

MAX_ROWS = 7
"""How many names may be above each other."""

DISTANCE = 8.0
"""The least distance between two names in a row, in pixels."""


class Flag(NamedTuple):
    """A name beside the line that leads down to its event.

    Attributes:
        x: the position of the event, in pixels.
        width: the width of the name.
        to_the_left: whether the name is to the left of the line, because the page ends at its right.
    """

    x: float
    width: float
    to_the_left: bool = False

    @property
    def right(self) -> float:
        """The right end of the name."""
        return self.x if self.to_the_left else self.x + self.width


def arrange_flags(events: Sequence[tuple[float, str, float]], right: float) -> dict[int, tuple[Flag, int]]:
    """Return by index in `events` the flag of each event that gets one, and its row; row 0 is the lowest.

    The first event of each name comes first. Other events get a flag if that moves no other flag.

    Args:
        events: the position of each event, its name and the width of the name, ordered by position.
        right: the right end of the page.
    """
    seen: Counter[str] = Counter()
    priority = []
    for index, (_, name, _) in enumerate(events):
        priority.append((seen[name], index))
        seen[name] += 1
    chosen: dict[int, tuple[Flag, int]] = {}
    for repetition, index in sorted(priority):
        tried = _rows({*chosen, index}, events, right)
        height = max((row for _, row in chosen.values()), default=0) if repetition else MAX_ROWS - 1
        fits = all(row <= height for _, row in tried.values())
        if fits and (not repetition or all(tried[other] == flag for other, flag in chosen.items())):
            chosen = tried
    return chosen


def _rows(indices: set[int], events: Sequence[tuple[float, str, float]], right: float) -> dict[int, tuple[Flag, int]]:
    """Return the flags and their rows: of two names that would overlap, the one further to the right is lower."""
    edge = _left_edge([events[index] for index in indices], right)
    rows: dict[int, tuple[Flag, int]] = {}
    to_the_right = [index for index in indices if events[index][0] < edge]
    for index in sorted(to_the_right, reverse=True):
        x, _, width = events[index]
        below = [row for flag, row in rows.values() if flag.x < x + width + DISTANCE]
        rows[index] = Flag(x, width), max(below, default=-1) + 1
    for index in sorted(indices - set(to_the_right)):
        x, _, width = events[index]
        below = [row for flag, row in rows.values() if flag.right > x - width - DISTANCE]
        rows[index] = Flag(x, width, to_the_left=True), max(below, default=-1) + 1
    return rows


def _left_edge(events: Sequence[tuple[float, str, float]], right: float) -> float:
    """Return the position from which names are to the left: where a name would not fit, or would cross such a line."""
    edge, before = right, right + 1
    while edge < before:
        before = edge
        edge = min([edge, *(x for x, _, width in events if x + width + DISTANCE > edge)])
    return edge
