"""The part of a lifecycle that a run went through, by names alone: a timeline knows no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import log

from fsm_engine.render.diagram import Box, Diagram, Edge, EdgeKind, Node, NodeKind
from fsm_engine.render.diagram_builder import FINAL, INITIAL
from fsm_engine.render.heat_map import format_percent
from fsm_engine.timeline.columns import moves
from fsm_engine.timeline.summary import Times
from fsm_engine.timeline.track import Kind, Track

_KINDS = {"fired": EdgeKind.FIRED, "signal": EdgeKind.SIGNAL}
_Path = tuple[str, ...]


def walked(track: Track, phases: Mapping[str, Times]) -> Diagram:
    """Return a diagram of the phases that `track` came to, and of the moves that it made.

    The phase that runs begin in stands where they start and where they end. The main path is the way on which the run
    came to the end first.

    Args:
        track: a recorded run.
        phases: what its time was spent on.
    """
    return _Walked(track, phases).diagram()


class _Walked:
    def __init__(self, track: Track, phases: Mapping[str, Times]) -> None:
        numbers = moves(track).kinds
        counts = Counter(numbers)
        self.counts: Counter[Kind] = Counter()  # in the order in which each was taken first
        for number in sorted(counts, key=numbers.index):
            if not track.kinds[number].is_rest:
                self.counts[replace(track.kinds[number], is_cut=False)] += counts[number]
        self.most = max(self.counts.values(), default=1)
        self.rest = next((kind.source for kind in self.counts if kind.trigger == "run"), "")
        self.phases = phases
        self.scopes: dict[str, _Path] = {}
        for kind in self.counts:
            self.scopes.setdefault(kind.source, kind.source_scopes)
            self.scopes.setdefault(kind.target, kind.target_scopes)

    def diagram(self) -> Diagram:
        path = self._path()
        reached = {kind.target for kind in path}
        nodes = [
            Node(INITIAL, "", NodeKind.INITIAL, main=True),
            *(self._node(name, name in reached) for name in self.scopes if name != self.rest),
            Node(FINAL, "", NodeKind.FINAL, main=self.rest in reached),
        ]
        edges = [self._edge(kind, main=True) for kind in path]
        edges += [self._edge(kind, main=False) for kind in self.counts if kind not in path]
        return Diagram(tuple(nodes), tuple(self._boxes()), tuple(edges))

    def _path(self) -> Sequence[Kind]:
        """Return the moves by which the run came to its end, each the one that entered its phase first."""
        into: dict[str, Kind] = {}
        for kind in self.counts:
            into.setdefault(kind.target, kind)
        last = self.rest if self.rest in into else next(reversed(into), "")
        path: list[Kind] = []
        while last in into and into[last] not in path:
            path.insert(0, into[last])
            last = into[last].source
        return path if last == self.rest else ()

    def _node(self, name: str, main: bool) -> Node:
        times = self.phases.get(name)
        notes = () if times is None else (f"{times.count:,}\N{MULTIPLICATION SIGN}, {format_percent(times.share)}",)
        box = ".".join(self.scopes[name]) or None
        return Node(name, name.rpartition(".")[2], box=box, notes=notes, main=main, tip=name)

    def _boxes(self) -> Iterator[Box]:
        paths = {path[:depth] for path in self.scopes.values() for depth in range(1, len(path) + 1)}
        for path in sorted(paths, key=lambda path: (len(path), path)):
            yield Box(".".join(path), path[-1], ".".join(path[:-1]) or None)

    def _edge(self, kind: Kind, main: bool) -> Edge:
        count = self.counts[kind]
        source = INITIAL if kind.source == self.rest else kind.source
        target = FINAL if kind.target == self.rest else kind.target
        look = EdgeKind.ERROR if kind.is_error else _KINDS.get(kind.trigger, EdgeKind.AUTOMATIC)
        weight = (1 + log(count)) / (1 + log(self.most))
        return Edge(source, target, f"{count:,}\N{MULTIPLICATION SIGN}", look, main, tip=str(kind), weight=weight)
