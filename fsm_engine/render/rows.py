"""The row of each node of a diagram, and its side of the main path."""

from __future__ import annotations

from collections.abc import Mapping

from fsm_engine.render.diagram import Diagram, NodeKind

Rank = tuple[int, ...]


class Rows:
    """The order of the nodes along the main path, from its start to its end.

    The rows of a box are consecutive, and no node outside the box is in them.

    Attributes:
        rank: sort key of each node: its index on the main path; a node beside the path follows the first node that
            leads to it.
        order: the nodes in the order of their rows.
        side: -1 left of the main path, 0 on it, 1 right of it.
        enclosing: the boxes around each node and box, the outermost first; a box encloses itself.
    """

    def __init__(self, diagram: Diagram) -> None:
        self.diagram = diagram
        self.enclosing: dict[str, tuple[str, ...]] = {}
        for box in diagram.boxes:
            self.enclosing[box.id] = (*self.enclosing.get(box.parent or "", ()), box.id)
        for node in diagram.nodes:
            self.enclosing[node.id] = self.enclosing.get(node.box or "", ())
        self.rank = self._ranks()
        self.order = self._ordered(None)
        self.side = self._sides()

    def nodes_in(self, box: str) -> list[str]:
        """Return the nodes in `box` and in its inner boxes."""
        return [node.id for node in self.diagram.nodes if box in self.enclosing[node.id]]

    def numbers(self, shared: Mapping[str, str]) -> dict[str, int]:
        """Return the row number of each node. A node in `shared` gets the row of the node that it maps to."""
        rows: dict[str, int] = {}
        for node in self.order:
            if node not in shared:
                rows[node] = len(rows)
        return rows | {node: rows[other] for node, other in shared.items()}

    def _ranks(self) -> dict[str, Rank]:
        diagram = self.diagram
        ranks: dict[str, Rank] = {node.id: (index,) for index, node in enumerate(diagram.main)}
        waiting = [edge for edge in diagram.edges if edge.target not in ranks]
        while waiting:
            found = {edge.target: rank for edge in reversed(waiting) if (rank := self._rank_of(edge.source, ranks))}
            if not found:
                break
            count = len(ranks)
            ranks |= {target: (*rank, count + index) for index, (target, rank) in enumerate([*found.items()][::-1])}
            waiting = [edge for edge in waiting if edge.target not in ranks]
        unreached = [node.id for node in diagram.nodes if node.id not in ranks]
        return ranks | {node: (len(diagram.nodes), index) for index, node in enumerate(unreached)}

    def _rank_of(self, end: str, ranks: Mapping[str, Rank]) -> Rank | None:
        """Return the rank of a node, or the highest rank in a box; None if no rank is known yet."""
        if end in self.diagram.names:
            return ranks.get(end)
        return max((ranks[node] for node in self.nodes_in(end) if node in ranks), default=None)

    def _ordered(self, box: str | None) -> list[str]:
        """Return the nodes in `box` by rank. An inner box stays together, at the lowest rank of its nodes."""
        items: list[tuple[Rank, list[str]]] = [
            (self.rank[node.id], [node.id]) for node in self.diagram.nodes if node.box == box
        ]
        for inner in self.diagram.boxes_in(box):
            if nodes := self._ordered(inner.id):
                items.append((min(self.rank[node] for node in nodes), nodes))
        return [node for _, nodes in sorted(items, key=lambda item: item[0]) for node in nodes]

    def _sides(self) -> dict[str, int]:
        """Put nodes that lead back to an earlier node on the left of the main path, all others on the right."""
        sides = {node.id: 0 for node in self.diagram.main}
        targets = {node.id: self._targets(node.id) for node in self.diagram.nodes if node.id not in sides}
        for node, others in targets.items():
            if any(sides.get(other) == 0 and self.rank[other] < self.rank[node] for other in others):
                sides[node] = -1
        for _ in targets:
            new = [n for n, others in targets.items() if n not in sides and others and _all_left(others, sides)]
            if not new:
                break
            sides |= dict.fromkeys(new, -1)
        return {node.id: sides.get(node.id, 1) for node in self.diagram.nodes}

    def _targets(self, node: str) -> list[str]:
        targets = [edge.target for edge in self.diagram.leaving[node] if edge.target != node]
        return [target for target in targets if self.diagram.names[target].kind is not NodeKind.FINAL]


def _all_left(nodes: list[str], sides: Mapping[str, int]) -> bool:
    return all(sides.get(node) == -1 for node in nodes)
