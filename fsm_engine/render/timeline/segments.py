"""A recorded run as nested segments: the run, the scopes in it, and the visits of phases in those.

A run may have millions of visits. A segment has the range of its visits, and is divided when somebody reads its parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import groupby, pairwise
from operator import or_

from fsm_engine.timeline.visits import Visit, Visits

RUN = "run"
"""The name of a segment that is a whole run."""


class VisitFeatures:
    """The visits of a track with their features: the phase, the scopes and the handlers of a visit, as bit masks.

    Attributes:
        visits: the visits.
        always_shown: the features that are scopes or handlers.
    """

    def __init__(self, visits: Visits) -> None:
        self.visits = visits
        track, bit = visits.track, _Bits()
        self.always_shown = 0
        self._phases = [bit(f"phase {kind.target}") for kind in track.kinds]
        scopes = [self._combine(map(bit, (f"scope {name}" for name in kind.target_scopes))) for kind in track.kinds]
        self._moves = [phase | around for phase, around in zip(self._phases, scopes)]
        self._handlers = [self._combine([bit(f"handler {handler.name}")]) for handler in track.handlers]
        self._scope_names: dict[int, list[str]] = {}

    @cached_property
    def phases(self) -> list[int]:
        """For each visit, the bit of its phase."""
        return list(map(self._phases.__getitem__, self.visits.kinds))

    @cached_property
    def masks(self) -> list[int]:
        """For each visit, the bits of its features."""
        masks = list(map(self._moves.__getitem__, self.visits.kinds))
        columns, handlers = self.visits.columns, self.visits.spans.handlers
        for index, (first, end) in enumerate(zip(columns.first_call, columns.end_call)):
            for handler in handlers[first:end] if first < end else ():
                masks[index] |= self._handlers[handler]
        return masks

    def _combine(self, bits: Iterable[int]) -> int:
        mask = reduce(or_, bits, 0)
        self.always_shown |= mask
        return mask

    def of(self, indices: range) -> int:
        """Return the bits of all features that some visits have."""
        return reduce(or_, self.masks[indices.start : indices.stop], 0)

    def scopes(self, depth: int, indices: range) -> Iterator[tuple[str, range]]:
        """Yield the scopes at a depth by name, with the visits in each; the name is empty for visits outside scopes."""
        names, first = self._names(depth), indices.start
        for name, same in groupby(map(names.__getitem__, self.visits.kinds[indices.start : indices.stop])):
            end = first + len(list(same))
            yield name, range(first, end)
            first = end

    def has_scopes(self, depth: int, indices: range) -> bool:
        """Return True if some of the visits are in a scope at that depth."""
        names = self._names(depth)
        return any(names[kind] for kind in set(self.visits.kinds[indices.start : indices.stop]))

    def _names(self, depth: int) -> list[str]:
        if depth not in self._scope_names:
            kinds = self.visits.track.kinds
            self._scope_names[depth] = ["".join(kind.target_scopes[depth : depth + 1]) for kind in kinds]
        return self._scope_names[depth]


class _Bits(dict[str, int]):
    """Assigns a bit to each name."""

    def __call__(self, name: str) -> int:
        return self.setdefault(name, 1 << len(self))


class _Part:
    """Consecutive visits of a track."""

    __slots__ = ()
    features: VisitFeatures
    indices: range

    @property
    def start(self) -> int:
        """When the part begins, in nanoseconds of the monotonic clock."""
        return self.features.visits.start(self.indices.start)

    @property
    def end(self) -> int:
        """When the part ends."""
        return self.features.visits.end(self.indices.stop - 1)


@dataclass(eq=False)
class Segment(_Part):
    """A scope from entering it to leaving it, a run, or several runs.

    Attributes:
        features: the features of the track's visits.
        name: the name of the scope, or `RUN`.
        indices: the visits; at least one.
        depth: the number of scopes around the visits, this one included.
        runs: the runs, if the segment is several runs.
    """

    features: VisitFeatures
    name: str
    indices: range
    depth: int = 0
    runs: tuple[Segment, ...] = ()

    @property
    def first_visit(self) -> Visit:
        """The first visit."""
        return self.features.visits[self.indices.start]

    @cached_property
    def inner(self) -> tuple[Segment, ...]:
        """The segments directly inside this one."""
        if self.runs:
            return self.runs
        found = self.features.scopes(self.depth, self.indices)
        return tuple(Segment(self.features, name, indices, self.depth + 1) for name, indices in found if name)

    @property
    def is_outer(self) -> bool:
        """True if the segments directly inside have inner segments, too."""
        if self.runs:
            return any(run.inner for run in self.runs)
        return self.features.has_scopes(self.depth + 1, self.indices)

    @cached_property
    def cycles(self) -> tuple[Cycle, ...]:
        """The parts of the segment, divided where a repetition begins."""
        cuts = [self.indices.start, *self._repetition_starts(), self.indices.stop]
        inner = self.inner or (None,)
        return tuple(
            Cycle(self.features, range(first, end), within) for (first, end), within in zip(pairwise(cuts), inner)
        )

    def _repetition_starts(self) -> Iterator[int]:
        """Yield the index of the first visit of each repetition, except for the first one.

        A repetition is an inner segment and the visits that lead to it: the same phases as those before the first one.
        """
        phases = self.features.phases
        opening = phases[self.indices.start : self.inner[0].indices.start] if self.inner else []
        for one, other in pairwise(self.inner):
            between = phases[one.indices.stop : other.indices.start]
            yield other.indices.start - _common_suffix_length(opening, between)


class Cycle(_Part):
    """Visits that are repeated together.

    Attributes:
        features: the features of the track's visits.
        indices: the visits.
        inner: the segment among them; None if there is none.
        mask: the bits of the features of the visits.
    """

    __slots__ = ("features", "indices", "inner", "mask")

    def __init__(self, features: VisitFeatures, indices: range, inner: Segment | None) -> None:
        self.features, self.indices, self.inner = features, indices, inner
        self.mask = features.of(indices)

    @property
    def parts(self) -> Iterator[Segment | range]:
        """The inner segment and the ranges of visits before and after it, in order."""
        if self.inner is None:
            yield self.indices
            return
        before = range(self.indices.start, self.inner.indices.start)
        after = range(self.inner.indices.stop, self.indices.stop)
        yield from (part for part in (before, self.inner, after) if not isinstance(part, range) or part)


def _common_suffix_length(one: Sequence[int], other: Sequence[int]) -> int:
    length = 0
    while length < min(len(one), len(other)) and one[-1 - length] == other[-1 - length]:
        length += 1
    return length


def find_runs(visits: Visits) -> list[Segment]:
    """Return the runs of a track. A run begins where a visit does not begin at the end of the visit before it.

    Iterations that were not recorded belong to the run around them.
    """
    features, kinds, numbers = VisitFeatures(visits), visits.track.kinds, visits.moves.kinds
    starts_run = [kind.trigger == "run" for kind in kinds]
    starts = [
        index
        for index, (before, entered) in enumerate(pairwise(visits.columns.entered), 1)
        if starts_run[numbers[entered]] or (entered != before + 1 and not kinds[numbers[before + 1]].starts_gap)
    ]
    bounds = [0, *starts, len(visits)] if len(visits) else []
    return [Segment(features, RUN, range(first, end)) for first, end in pairwise(bounds)]
