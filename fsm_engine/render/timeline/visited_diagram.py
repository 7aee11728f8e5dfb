"""A diagram of the phases that a run visited, from the names in its track."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from fsm_engine.render.diagram import Box, Diagram, Edge, EdgeKind, Node, NodeKind
from fsm_engine.render.diagram_builder import FINAL, INITIAL
from fsm_engine.render.heat_map import count_text, edge_weight, visits_text
from fsm_engine.timeline.columns import move_columns
from fsm_engine.timeline.summary import DurationStats
from fsm_engine.timeline.track import MoveKind, Track

_EDGE_KINDS = {"fired": EdgeKind.FIRED, "signal": EdgeKind.SIGNAL}


def visited_diagram(track: Track, phases: Mapping[str, DurationStats]) -> Diagram:
    """Return a diagram of the phases that `track` visited and of its transitions.

    The first phase of the lifecycle is drawn as the start and the end of the run. The main path is the path on which
    the run first reached its end.

    Args:
        track: the recorded track.
        phases: the statistics of its phases.
    """
    return _Builder(track, phases).build()


class _Builder:
    def __init__(self, track: Track, phases: Mapping[str, DurationStats]) -> None:
        numbers = move_columns(track).kinds
        counts = Counter(numbers)
        self.counts: Counter[MoveKind] = Counter()  # in the order in which the transitions were first taken
        for number in sorted(counts, key=numbers.index):
            if track.kinds[number].is_transition:
                self.counts[replace(track.kinds[number], starts_gap=False)] += counts[number]
        self.most = max(self.counts.values(), default=1)
        self.first_phase = next((kind.source for kind in self.counts if kind.trigger == "run"), "")
        self.phases = phases
        self.scopes: dict[str, tuple[str, ...]] = {}
        for kind in self.counts:
            self.scopes.setdefault(kind.source, kind.source_scopes)
            self.scopes.setdefault(kind.target, kind.target_scopes)

    def build(self) -> Diagram:
        path = self._main_path()
        reached = {kind.target for kind in path}
        nodes = [
            Node(INITIAL, "", NodeKind.INITIAL, main=True),
            *(self._node(name, name in reached) for name in self.scopes if name != self.first_phase),
            Node(FINAL, "", NodeKind.FINAL, main=self.first_phase in reached),
        ]
        edges = [self._edge(kind, main=True) for kind in path]
        edges += [self._edge(kind, main=False) for kind in self.counts if kind not in path]
        return Diagram(tuple(nodes), tuple(self._boxes()), tuple(edges))

    def _main_path(self) -> Sequence[MoveKind]:
        """Return the transitions that lead to the end, each the one that entered its phase first."""
        first_into: dict[str, MoveKind] = {}
        for kind in self.counts:
            first_into.setdefault(kind.target, kind)
        phase = self.first_phase if self.first_phase in first_into else next(reversed(first_into), "")
        path: list[MoveKind] = []
        while phase in first_into and first_into[phase] not in path:
            path.insert(0, first_into[phase])
            phase = first_into[phase].source
        return path if phase == self.first_phase else ()

    def _node(self, name: str, main: bool) -> Node:
        stats = self.phases.get(name)
        notes = () if stats is None else (visits_text(stats),)
        box = ".".join(self.scopes[name]) or None
        return Node(name, name.rpartition(".")[2], box=box, notes=notes, main=main, tip=name)

    def _boxes(self) -> Iterator[Box]:
        paths = {path[:depth] for path in self.scopes.values() for depth in range(1, len(path) + 1)}
        for path in sorted(paths, key=lambda path: (len(path), path)):
            yield Box(".".join(path), path[-1], ".".join(path[:-1]) or None)

    def _edge(self, kind: MoveKind, main: bool) -> Edge:
        count = self.counts[kind]
        source = INITIAL if kind.source == self.first_phase else kind.source
        target = FINAL if kind.target == self.first_phase else kind.target
        edge_kind = EdgeKind.ERROR if kind.is_error else _EDGE_KINDS.get(kind.trigger, EdgeKind.AUTOMATIC)
        text, weight = count_text(count), edge_weight(count, self.most)
        return Edge(source, target, text, edge_kind, main, tip=str(kind), weight=weight)
