"""What was recorded, nested: a run, the scopes in it, and the visits of phases in those."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from typing import NamedTuple

from fsm_engine.timeline.visits import Visit

RUN = "run"
"""The name of a stretch that is a whole run."""


@dataclass(frozen=True)
class Stretch:
    """A scope from entering it to leaving it, or a whole run.

    Attributes:
        name: of the scope.
        parts: the visits in it, and the scopes inside it with theirs, in their order; at least one.
    """

    name: str
    parts: tuple[Part, ...]

    @cached_property
    def inner(self) -> tuple[Stretch, ...]:
        """The stretches right inside it."""
        return tuple(part for part in self.parts if isinstance(part, Stretch))

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The scopes and phases that it comes to, and the handlers that are called in it, each by a name of its own."""
        return frozenset({f"scope {self.name}"}).union(*map(kinds, self.parts))

    @cached_property
    def cycles(self) -> tuple[Cycle, ...]:
        """Its parts, cut where what is repeated begins again."""
        cuts = [0, *_heads(self), len(self.parts)]
        chunks = [self.parts[begin:stop] for begin, stop in pairwise(cuts)]
        return tuple(Cycle(parts, frozenset().union(*map(kinds, parts))) for parts in chunks)

    def visits(self) -> Iterator[Visit]:
        """Yield all visits in it."""
        for part in self.parts:
            yield from part.visits() if isinstance(part, Stretch) else (part,)


Part = Stretch | Visit


class Cycle(NamedTuple):
    """Parts of a stretch that are repeated together, with `Stretch.kinds` of them."""

    parts: tuple[Part, ...]
    kinds: frozenset[str]


def _heads(stretch: Stretch) -> Iterator[int]:
    """Yield the places of the parts that each repetition but the first begins with.

    A stretch inside belongs together with the visits that led to it, as they led to the first one already.
    """
    places = [place for place, part in enumerate(stretch.parts) if isinstance(part, Stretch)]
    opening = [first(part).phase for part in stretch.parts[: places[0]]] if places else []
    for one, other in pairwise(places):
        between = [first(part).phase for part in stretch.parts[one + 1 : other]]
        common = 0
        while common < min(len(opening), len(between)) and opening[-1 - common] == between[-1 - common]:
            common += 1
        yield other - common


NOTABLE = ("scope ", "call ")
"""What the kinds of scopes and of calls of handlers begin with; those of phases are their names."""


def kinds(part: Part) -> Collection[str]:
    """Return `Stretch.kinds` of any part."""
    if isinstance(part, Stretch):
        return part.kinds
    return (part.phase, *(f"call {span.called.handler}" for span in part.spans))


def start(part: Part) -> int:
    """Return when a part begins, in nanoseconds of the monotonic clock."""
    while isinstance(part, Stretch):
        part = part.parts[0]
    return part.entered.time


def end(part: Part) -> int:
    """Return when a part ends."""
    while isinstance(part, Stretch):
        part = part.parts[-1]
    return part.left.time


def first(part: Part) -> Visit:
    """Return the visit that a part begins with."""
    while isinstance(part, Stretch):
        part = part.parts[0]
    return part


def runs(visits: Iterable[Visit]) -> list[Stretch]:
    """Return the runs of a track: a new one begins where a visit does not begin with the end of the one before it.

    Iterations that were left out are part of the run around them.
    """
    chains: list[list[Visit]] = []
    for visit in visits:
        before = chains[-1][-1].left if chains else None
        goes_on = before is visit.entered or (before is not None and before.kind.is_cut)
        if not goes_on or visit.entered.kind.trigger == "run":
            chains.append([])
        chains[-1].append(visit)
    return [Stretch(RUN, tuple(_nested(chain, 0))) for chain in chains]


def _nested(visits: Iterable[Visit], depth: int) -> Iterator[Part]:
    """Yield visits as they are where there is no scope at that depth, and others in the stretch of theirs."""
    for scope, inside in groupby(visits, lambda visit: visit.entered.kind.target_scopes[depth : depth + 1]):
        if scope:
            yield Stretch(scope[0], tuple(_nested(inside, depth + 1)))
        else:
            yield from inside
