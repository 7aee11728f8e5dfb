"""Which row each node of a diagram stands in, and on which side of the main path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fsm_engine.render.diagram import Diagram, NodeKind

Rank = tuple[int, ...]


class Rows:
    """The order of the nodes from the start of the main path to its end.

    Everything inside a box is in rows of its own, one below the other, so that the box holds nothing else.

    Attributes:
        rank: the place of a node along the main path; one beside it comes behind what first leads to it.
        order: the nodes in the order of their rows.
        side: -1 left of the main path, 0 on it, 1 right of it.
        within: the boxes that a node or box lies in, the outermost first; a box lies in itself.
    """

    def __init__(self, diagram: Diagram) -> None:
        self.diagram = diagram
        self.within: dict[str, tuple[str, ...]] = {}
        for box in diagram.boxes:
            self.within[box.id] = (*self.within.get(box.parent or "", ()), box.id)
        for node in diagram.nodes:
            self.within[node.id] = self.within.get(node.box or "", ())
        self.rank = self._ranks()
        self.order = self._ordered(None)
        self.side = self._sides()

    def inside(self, box: str) -> list[str]:
        """Return the nodes in a box, those of its inner boxes included."""
        return [node.id for node in self.diagram.nodes if box in self.within[node.id]]

    def numbered(self, shared: Mapping[str, str]) -> dict[str, int]:
        """Return the row of each node, when those in `shared` stand in the row of another."""
        rows: dict[str, int] = {}
        for node in self.order:
            if node not in shared:
                rows[node] = len(rows)
        return rows | {node: rows[other] for node, other in shared.items()}

    def _ranks(self) -> dict[str, Rank]:
        diagram = self.diagram
        ranks: dict[str, Rank] = {node.id: (place,) for place, node in enumerate(diagram.main)}
        waiting = [edge for edge in diagram.edges if edge.target not in ranks]
        while waiting:
            found = {edge.target: rank for edge in reversed(waiting) if (rank := self._rank_of(edge.source, ranks))}
            if not found:
                break
            number = len(ranks)
            ranks |= {target: (*rank, number + place) for place, (target, rank) in enumerate([*found.items()][::-1])}
            waiting = [edge for edge in waiting if edge.target not in ranks]
        lost = [node.id for node in diagram.nodes if node.id not in ranks]
        return ranks | {node: (len(diagram.nodes), place) for place, node in enumerate(lost)}

    def _rank_of(self, end: str, ranks: Mapping[str, Rank]) -> Rank | None:
        if end in self.diagram.names:
            return ranks.get(end)
        return max((ranks[node] for node in self.inside(end) if node in ranks), default=None)

    def _ordered(self, box: str | None) -> list[str]:
        items: list[tuple[Rank, list[str]]] = [
            (self.rank[node.id], [node.id]) for node in self.diagram.nodes if node.box == box
        ]
        for inner in self.diagram.inside(box):
            if nodes := self._ordered(inner.id):
                items.append((min(self.rank[node] for node in nodes), nodes))
        return [node for _, nodes in sorted(items, key=lambda item: item[0]) for node in nodes]

    def _sides(self) -> dict[str, int]:
        """Put what leads back to the left, everything else to the right."""
        sides = {node.id: 0 for node in self.diagram.main}
        ends = {node.id: self._targets(node.id) for node in self.diagram.nodes if node.id not in sides}
        for node, targets in ends.items():
            if any(
                target in sides and self.rank[target] < self.rank[node] for target in targets if sides.get(target) == 0
            ):
                sides[node] = -1
        for _ in ends:
            lost = [n for n, targets in ends.items() if n not in sides and _all(sides.get(t) == -1 for t in targets)]
            if not lost:
                break
            sides |= dict.fromkeys(lost, -1)
        return {node.id: sides.get(node.id, 1) for node in self.diagram.nodes}

    def _targets(self, node: str) -> list[str]:
        final = {node.id for node in self.diagram.nodes if node.kind is NodeKind.FINAL}
        return [e.target for e in self.diagram.edges if e.source == node and e.target != node and e.target not in final]


def _all(conditions: Iterable[bool]) -> bool:
    found = list(conditions)
    return bool(found) and all(found)
