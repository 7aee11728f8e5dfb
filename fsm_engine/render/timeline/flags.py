"""Where the names of events stand: above each other, so that no line to an event runs through a name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

MOST = 7
"""How many names may stand above each other."""

APART = 8.0


class Flag(NamedTuple):
    """A name that stands beside the line that leads down to its event.

    Attributes:
        x: where the event is, in pixels.
        width: of the name.
        to_the_left: whether the name stands to the left of the line, as the page ends at its right.
    """

    x: float
    width: float
    to_the_left: bool = False

    @property
    def reach(self) -> float:
        """Where it ends at the right."""
        return self.x if self.to_the_left else self.x + self.width


def arranged(events: Sequence[tuple[float, str, float]], right: float, most: int = MOST) -> dict[int, tuple[Flag, int]]:
    """Return which events are named: their place in `events`, the flag, and in which row it stands, 0 the lowest.

    The first of each name comes first; others are named where there is room.

    Args:
        events: where each is, its name, and the width of that, in the order of time.
        right: where the page ends.
        most: how many rows there may be.
    """
    seen: Counter[str] = Counter()
    priority = []
    for place, (_, name, _) in enumerate(events):
        priority.append((seen[name], place))
        seen[name] += 1
    chosen: dict[int, tuple[Flag, int]] = {}
    for again, place in sorted(priority):
        tried = _rows({*chosen, place}, events, right)
        height = max((row for _, row in chosen.values()), default=0) if again else most - 1
        free = all(row <= height for _, row in tried.values())
        if free and (not again or all(tried[other] == flag for other, flag in chosen.items())):
            chosen = tried
    return chosen


def _rows(places: set[int], events: Sequence[tuple[float, str, float]], right: float) -> dict[int, tuple[Flag, int]]:
    """Return how flags stand: an event further to the right has its name further down, until the page ends."""
    edge = _edge([events[place] for place in places], right)
    rows: dict[int, tuple[Flag, int]] = {}
    plain = [place for place in places if events[place][0] < edge]
    for place in sorted(plain, reverse=True):
        x, _, width = events[place]
        under = [row for flag, row in rows.values() if flag.x < x + width + APART]
        rows[place] = Flag(x, width), max(under, default=-1) + 1
    for place in sorted(places - set(plain)):
        x, _, width = events[place]
        under = [row for flag, row in rows.values() if flag.reach > x - width - APART]
        rows[place] = Flag(x, width, to_the_left=True), max(under, default=-1) + 1
    return rows


def _edge(events: Sequence[tuple[float, str, float]], right: float) -> float:
    """Return from where on names stand to the left: where they do not fit, or would be run through."""
    edge, before = right, right + 1
    while edge < before:
        before = edge
        edge = min([edge, *(x for x, _, width in events if x + width + APART > edge)])
    return edge
