"""The gaps in the picture of a long run: repetitions in the middle are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from fsm_engine.render.timeline.segments import Cycle, Segment, VisitFeatures

MAX_VISITS = 24
"""The number of consecutive visits that are shown one by one."""


class Ends(NamedTuple):
    """How many repetitions are shown at the beginning and at the end."""

    first: int
    last: int


class Gap(NamedTuple):
    """A time that is left out.

    Attributes:
        start: when it begins, in nanoseconds.
        end: when it ends.
        content: a description of the content, such as ``1,874 more iterations``.
        depth: the number of scopes around the content.
        track: the index of the track.
    """

    start: int
    end: int
    content: str
    depth: int
    track: int


_Found = tuple[int, int, str, int]


class DetailLevel(NamedTuple):
    """How much is shown.

    Attributes:
        outer: of repetitions with inner repetitions, such as epochs.
        inner: of repetitions without, such as iterations.
        first_phases: whether the first visit of each phase is shown. The first visits of scopes and calls of handlers
            always are.
    """

    outer: Ends
    inner: Ends
    first_phases: bool = True


DETAIL_LEVELS = (
    *(DetailLevel(Ends(9, 9), inner) for inner in (Ends(9, 9), Ends(3, 2), Ends(2, 1))),
    *(DetailLevel(Ends(2, 1), inner) for inner in (Ends(3, 2), Ends(2, 1))),
    *(DetailLevel(Ends(1, 1), inner) for inner in (Ends(3, 2), Ends(2, 1))),
    *(DetailLevel(Ends(1, 1), inner, False) for inner in (Ends(3, 2), Ends(2, 1))),
    *(DetailLevel(Ends(1, 1), Ends(1, 1), first_phases) for first_phases in (True, False)),
    *(DetailLevel(Ends(1, 0), inner, False) for inner in (Ends(1, 1), Ends(1, 0))),
)
"""All levels, most detail first."""


def find_gaps(segment: Segment, level: DetailLevel, track: int) -> Iterator[Gap]:
    """Yield the gaps in a shown segment."""
    for start, end, content, depth in _GapFinder(segment.features, level).find(segment, -1):
        yield Gap(start, end, content, depth, track)


class _GapFinder:
    """Finds the gaps.

    Attributes:
        seen: the bits of the features of the visits that are shown so far.
    """

    def __init__(self, features: VisitFeatures, level: DetailLevel) -> None:
        self.features, self.level, self.seen = features, level, 0

    def find(self, segment: Segment, depth: int) -> Iterator[_Found]:
        hidden = self._hidden(segment.cycles, self.level.outer if segment.is_outer else self.level.inner)
        for is_hidden, pairs in groupby(zip(segment.cycles, hidden), lambda pair: pair[1]):
            cycles = [cycle for cycle, _ in pairs]
            if is_hidden and len(cycles) > 1:
                yield cycles[0].start, cycles[-1].end, _describe(cycles), depth + 1
            else:
                for cycle in cycles:
                    yield from self._find_in_cycle(cycle, depth)

    def _hidden(self, cycles: Sequence[Cycle], ends: Ends) -> Iterator[bool]:
        """Yield for each cycle whether it may be left out: it is in the middle and has no new feature."""
        seen, relevant = self.seen, -1 if self.level.first_phases else self.features.always_shown
        for index, cycle in enumerate(cycles):
            is_new = cycle.mask & ~seen & relevant
            yield ends.first <= index < len(cycles) - ends.last and not is_new
            seen |= cycle.mask

    def _find_in_cycle(self, cycle: Cycle, depth: int) -> Iterator[_Found]:
        """Yield the gaps in a shown cycle: in a long row of visits, and in its inner segment."""
        visits = self.features.visits
        for part in cycle.parts:
            if isinstance(part, Segment):
                yield from self.find(part, depth + 1)
                continue
            if len(part) > MAX_VISITS:
                hidden = part[MAX_VISITS // 2 : -MAX_VISITS // 4]
                yield visits.start(hidden[0]), visits.end(hidden[-1]), f"{len(hidden):,} more phases", depth + 1
            self.seen |= self.features.of(part)


def _describe(cycles: Sequence[Cycle]) -> str:
    names = Counter(cycle.inner.name for cycle in cycles if cycle.inner is not None)
    return ", ".join(f"{count:,} more {name}{'s' * (count > 1)}" for name, count in names.items())


def merge_gaps(gaps: list[Gap]) -> list[Gap]:
    """Return gaps in order, with overlapping ones merged. The longest of them gives the description."""
    merged: list[Gap] = []
    for gap in sorted(gaps):
        if merged and gap.start < merged[-1].end:
            last = merged.pop()
            longer = max(last, gap, key=lambda one: one.end - one.start)
            gap = longer._replace(start=last.start, end=max(last.end, gap.end))
        merged.append(gap)
    return merged
