"""What is left out of the picture of a long run: the middle of what is done again and again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from fsm_engine.render.timeline.stretches import Cycle, Stretch, Walk

MANY = 24
"""How many visits in a row are shown one by one."""


class Keep(NamedTuple):
    """How many of what is repeated are shown, at the beginning and at the end."""

    first: int
    last: int


class Gap(NamedTuple):
    """A time that is left out.

    Attributes:
        start: when it begins, in nanoseconds.
        end: when it ends.
        what: what is left out, such as ``1,874 more iterations``.
        depth: how many scopes what is left out lies in.
        track: the number of the track that it lies in.
    """

    start: int
    end: int
    what: str
    depth: int
    track: int


_Found = tuple[int, int, str, int]


class Detail(NamedTuple):
    """How much is shown.

    Attributes:
        outer: of what holds others, such as epochs.
        inner: of what does not, such as iterations.
        phases: whether the first visit of each phase is shown; the first of each scope and call always is.
    """

    outer: Keep
    inner: Keep
    phases: bool = True


DETAILS = (
    *(Detail(Keep(9, 9), inner) for inner in (Keep(9, 9), Keep(3, 2), Keep(2, 1))),
    *(Detail(Keep(2, 1), inner) for inner in (Keep(3, 2), Keep(2, 1))),
    *(Detail(Keep(1, 1), inner) for inner in (Keep(3, 2), Keep(2, 1))),
    *(Detail(Keep(1, 1), inner, False) for inner in (Keep(3, 2), Keep(2, 1))),
    *(Detail(Keep(1, 1), Keep(1, 1), phases) for phases in (True, False)),
    *(Detail(Keep(1, 0), inner, False) for inner in (Keep(1, 1), Keep(1, 0))),
)
"""From much to little."""


def gaps(stretch: Stretch, detail: Detail, track: int) -> Iterator[Gap]:
    """Yield what is left out of a stretch that is shown: never the first time that something happens in it."""
    for begin, finish, what, depth in _Eliding(stretch.walk, detail).gaps(stretch, -1):
        yield Gap(begin, finish, what, depth, track)


class _Eliding:
    """Finds what is left out.

    Attributes:
        seen: what the visits that are shown have come to so far.
    """

    def __init__(self, walk: Walk, detail: Detail) -> None:
        self.walk, self.detail, self.seen = walk, detail, 0

    def gaps(self, stretch: Stretch, depth: int) -> Iterator[_Found]:
        hidden = self._hidden(stretch.cycles, self.detail.outer if stretch.is_outer else self.detail.inner)
        for is_hidden, chain in groupby(zip(stretch.cycles, hidden), lambda pair: pair[1]):
            together = [cycle for cycle, _ in chain]
            if is_hidden and len(together) > 1:
                yield together[0].start, together[-1].end, _what(together), depth + 1
            else:
                for cycle in together:
                    yield from self._in_cycle(cycle, depth)

    def _hidden(self, cycles: Sequence[Cycle], keep: Keep) -> Iterator[bool]:
        """Yield for each cycle whether it is left out."""
        known, counted = self.seen, -1 if self.detail.phases else self.walk.notable
        for place, cycle in enumerate(cycles):
            is_new = cycle.kinds & ~known & counted
            yield keep.first <= place < len(cycles) - keep.last and not is_new
            known |= cycle.kinds

    def _in_cycle(self, cycle: Cycle, depth: int) -> Iterator[_Found]:
        """Yield what is left out of a cycle that is shown: visits without end, and what its stretches leave out."""
        visits = self.walk.visits
        for part in cycle.parts:
            if isinstance(part, Stretch):
                yield from self.gaps(part, depth + 1)
                continue
            if len(part) > MANY:
                hidden = part[MANY // 2 : -MANY // 4]
                yield visits.start(hidden[0]), visits.end(hidden[-1]), f"{len(hidden):,} more phases", depth + 1
            self.seen |= self.walk.kinds_of(part)


def _what(cycles: Sequence[Cycle]) -> str:
    names = Counter(cycle.inner.name for cycle in cycles if cycle.inner is not None)
    return ", ".join(f"{count:,} more {name}{'s' * (count > 1)}" for name, count in names.items())


def merged(found: list[Gap]) -> list[Gap]:
    """Return gaps in their order, with one for those that overlap: the longest tells what is left out."""
    whole: list[Gap] = []
    for gap in sorted(found):
        if whole and gap.start < whole[-1].end:
            last = whole.pop()
            longer = max(last, gap, key=lambda one: one.end - one.start)
            gap = longer._replace(start=last.start, end=max(last.end, gap.end))
        whole.append(gap)
    return whole
