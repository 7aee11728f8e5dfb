"""What was recorded, nested: a run, the scopes in it, and the visits of phases in those.

There may be millions of visits: a stretch knows which ones are its own, and is cut up when somebody looks into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import groupby, pairwise
from operator import or_

from fsm_engine.timeline.visits import Visit, Visits

RUN = "run"
"""The name of a stretch that is a whole run."""


class Walk:
    """The visits of a track, with what each comes to: the kinds of things, a bit for each.

    Attributes:
        visits: all of them.
        notable: the kinds that are scopes, and calls of handlers.
    """

    def __init__(self, visits: Visits) -> None:
        self.visits = visits
        track, bits = visits.track, _Bits()
        self.notable = 0
        self._phases = [bits(f"phase {kind.target}") for kind in track.kinds]
        around = [self._note(map(bits, (f"scope {name}" for name in kind.target_scopes))) for kind in track.kinds]
        self._moves = [phase | scopes for phase, scopes in zip(self._phases, around)]
        self._calls = [self._note([bits(f"call {handler.name}")]) for handler in track.handlers]
        self._scopes: dict[int, list[str]] = {}

    @cached_property
    def phases(self) -> list[int]:
        """Of each visit, the kind that is its phase."""
        return list(map(self._phases.__getitem__, self.visits.numbers))

    @cached_property
    def kinds(self) -> list[int]:
        """Of each visit, the kinds that are its phase, the scopes around it, and the handlers that are called in it."""
        found = list(map(self._moves.__getitem__, self.visits.numbers))
        for place, (first, stop) in enumerate(zip(self.visits.stays.first, self.visits.stays.stop)):
            for call in self.visits.spans.handlers[first:stop] if first < stop else ():
                found[place] |= self._calls[call]
        return found

    def _note(self, kinds: Iterable[int]) -> int:
        found = reduce(or_, kinds, 0)
        self.notable |= found
        return found

    def kinds_of(self, places: range) -> int:
        """Return what visits come to, all together."""
        return reduce(or_, self.kinds[places.start : places.stop], 0)

    def scopes(self, depth: int, places: range) -> Iterator[tuple[str, range]]:
        """Yield the names of the scopes at a depth, with the visits in each; the name is empty outside of them."""
        names, first = self._names(depth), places.start
        for name, same in groupby(map(names.__getitem__, self.visits.numbers[places.start : places.stop])):
            stop = first + len(list(same))
            yield name, range(first, stop)
            first = stop

    def goes(self, depth: int, places: range) -> bool:
        """Say whether any of these visits is in a scope at that depth."""
        names = self._names(depth)
        return any(names[number] for number in set(self.visits.numbers[places.start : places.stop]))

    def _names(self, depth: int) -> list[str]:
        if depth not in self._scopes:
            kinds = self.visits.track.kinds
            self._scopes[depth] = ["".join(kind.target_scopes[depth : depth + 1]) for kind in kinds]
        return self._scopes[depth]


class _Bits(dict[str, int]):
    """A bit for each name, given out as they come."""

    def __call__(self, name: str) -> int:
        return self.setdefault(name, 1 << len(self))


@dataclass(eq=False)
class Stretch:
    """A scope from entering it to leaving it, or a whole run.

    Attributes:
        walk: the visits of its track.
        name: of the scope.
        places: of the visits in it; at least one.
        depth: how many scopes it lies in, itself included.
        runs: the runs that it consists of, if it is no scope but several of them.
    """

    walk: Walk
    name: str
    places: range
    depth: int = 0
    runs: tuple[Stretch, ...] = ()

    @cached_property
    def inner(self) -> tuple[Stretch, ...]:
        """The stretches right inside it."""
        found = self.walk.scopes(self.depth, self.places) if not self.runs else ()
        return self.runs or tuple(Stretch(self.walk, name, places, self.depth + 1) for name, places in found if name)

    @property
    def is_outer(self) -> bool:
        """Whether there are stretches inside those that are right inside it."""
        return any(run.inner for run in self.runs) if self.runs else self.walk.goes(self.depth + 1, self.places)

    @cached_property
    def cycles(self) -> tuple[Cycle, ...]:
        """Its parts, cut where what is repeated begins again."""
        cuts = [self.places.start, *_heads(self), self.places.stop]
        inner = self.inner or (None,)
        return tuple(
            Cycle(self.walk, range(first, stop), within) for (first, stop), within in zip(pairwise(cuts), inner)
        )


class Cycle:
    """Parts of a stretch that are repeated together.

    Attributes:
        walk: the visits of the track.
        places: of the visits in it.
        inner: the stretch among them; None if there is none.
        kinds: what they come to.
    """

    __slots__ = ("inner", "kinds", "places", "walk")

    def __init__(self, walk: Walk, places: range, inner: Stretch | None) -> None:
        self.walk, self.places, self.inner = walk, places, inner
        self.kinds = walk.kinds_of(places)

    @property
    def start(self) -> int:
        """When it begins, in nanoseconds of the monotonic clock."""
        return self.walk.visits.start(self.places.start)

    @property
    def end(self) -> int:
        """When it ends."""
        return self.walk.visits.end(self.places.stop - 1)

    @property
    def parts(self) -> Iterator[Part]:
        """The visits, and the stretch among them, in their order."""
        if self.inner is None:
            yield self.places
            return
        before = range(self.places.start, self.inner.places.start)
        behind = range(self.inner.places.stop, self.places.stop)
        yield from (part for part in (before, self.inner, behind) if not isinstance(part, range) or part)


Part = Stretch | range


def _heads(stretch: Stretch) -> Iterator[int]:
    """Yield the places of the visits that each repetition but the first begins with.

    A stretch inside belongs together with the visits that led to it, as they led to the first one already.
    """
    phases = stretch.walk.phases
    opening = phases[stretch.places.start : stretch.inner[0].places.start] if stretch.inner else []
    for one, other in pairwise(stretch.inner):
        yield other.places.start - _common(opening, phases[one.places.stop : other.places.start])


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many of the last numbers are the same."""
    common = 0
    while common < min(len(one), len(other)) and one[-1 - common] == other[-1 - common]:
        common += 1
    return common


def start(stretch: Stretch) -> int:
    """Return when a stretch begins, in nanoseconds of the monotonic clock."""
    return stretch.walk.visits.start(stretch.places.start)


def end(stretch: Stretch) -> int:
    """Return when it ends."""
    return stretch.walk.visits.end(stretch.places.stop - 1)


def first(stretch: Stretch) -> Visit:
    """Return the visit that a stretch begins with."""
    return stretch.walk.visits[stretch.places.start]


def runs(visits: Visits) -> list[Stretch]:
    """Return the runs of a track: a new one begins where a visit does not begin with the end of the one before it.

    Iterations that were left out are part of the run around them.
    """
    walk, kinds, numbers = Walk(visits), visits.track.kinds, visits.moves.kinds
    cuts = [kind.is_cut for kind in kinds]
    begins = [kind.trigger == "run" for kind in kinds]
    heads = [
        place
        for place, (before, entered) in enumerate(pairwise(visits.stays.entered), 1)
        if begins[numbers[entered]] or (entered != before + 1 and not cuts[numbers[before + 1]])
    ]
    bounds = [0, *heads, len(visits)] if len(visits) else []
    return [Stretch(walk, RUN, range(first, stop)) for first, stop in pairwise(bounds)]
