"""What is left out of the picture of a long run: the middle of what is done again and again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from fsm_engine.render.timeline.stretches import NOTABLE, Cycle, Part, Stretch, end, kinds, start
from fsm_engine.timeline.visits import Visit

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


def gaps(part: Part, detail: Detail, track: int) -> Iterator[Gap]:
    """Yield what is left out of a part that is shown: never the first time that something happens in it."""
    for begin, finish, what, depth in _gaps(part, detail, -1, set()):
        yield Gap(begin, finish, what, depth, track)


def _gaps(part: Part, detail: Detail, depth: int, seen: set[str]) -> Iterator[_Found]:
    seen.update(kinds(part) if isinstance(part, Visit) else ())
    if not isinstance(part, Stretch):
        return
    keep = detail.outer if any(stretch.inner for stretch in part.inner) else detail.inner
    for hidden, chain in groupby(
        zip(part.cycles, _hidden(part.cycles, keep, seen, detail.phases)), lambda pair: pair[1]
    ):
        together = [cycle for cycle, _ in chain]
        if hidden and len(together) > 1:
            yield start(together[0].parts[0]), end(together[-1].parts[-1]), _what(together), depth + 1
        else:
            for cycle in together:
                yield from _in_cycle(cycle.parts, detail, depth, seen)


def _hidden(cycles: Sequence[Cycle], keep: Keep, seen: Collection[str], phases: bool) -> Iterator[bool]:
    """Yield for each cycle whether it is left out."""
    known = set(seen)
    for place, cycle in enumerate(cycles):
        new = cycle.kinds - known
        told = any(phases or kind.startswith(NOTABLE) for kind in new)
        yield keep.first <= place < len(cycles) - keep.last and not told
        known |= cycle.kinds


def _in_cycle(cycle: Sequence[Part], detail: Detail, depth: int, seen: set[str]) -> Iterator[_Found]:
    """Yield what is left out of a cycle that is shown: visits without end, and what its stretches leave out."""
    for is_visit, chain in groupby(cycle, lambda part: isinstance(part, Visit)):
        visits = list(chain)
        if is_visit and len(visits) > MANY:
            hidden = visits[MANY // 2 : -MANY // 4]
            yield start(hidden[0]), end(hidden[-1]), f"{len(hidden):,} more phases", depth + 1
        for part in visits:
            yield from _gaps(part, detail, depth + 1, seen)


def _what(cycles: Sequence[Cycle]) -> str:
    names = Counter(part.name for cycle in cycles for part in cycle.parts if isinstance(part, Stretch))
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
