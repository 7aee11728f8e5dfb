"""How far from the main path everything stands: nodes, the lanes of edges beside them, the borders of boxes.

Each side is filled from the inside out. What is already there is kept as a skyline, per row and per gap below a
row; whatever comes next is put beyond it, so nothing ever stands on anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from fsm_engine.render.diagram import Diagram, Edge
from fsm_engine.render.rows import Rows
from fsm_engine.render.text_metrics import LABEL_SIZE, Text

APART, LANE, BORDER, RISE = 22.0, 11.0, 10.0, 26.0
"""How far nodes, lanes, borders of boxes, and lines that turn into a node are from what is further in."""

TITLE_ROOM = 16.0
"""How much taller a box is for its name."""

Size = tuple[float, float]


@dataclass(frozen=True)
class Drop:
    """A line into the top or bottom of a node beside the main path.

    Attributes:
        edges: the edges that run along it.
        from_above: whether it comes from above.
        rows: the numbers of the rows and gaps that it passes, those of the node left out.
        label: how wide the text at it is.
    """

    edges: tuple[Edge, ...]
    from_above: bool
    rows: range
    label: float = 0.0


@dataclass
class Columns:
    """Where everything stands across the rows. Distances grow outwards on both sides.

    Attributes:
        diagram: what is laid out.
        rows: the order of the nodes.
        row: the row of each node.
        sizes: how wide and tall nodes are; made wider where many lines come in.
        labels: how wide the texts at edges are.
        flipped: edges ahead that run along the left all the same.
        titled: whether boxes need room for their names at their border on the left.
        node: the middle of each node.
        lane: of each edge that has a lane of its own: on which side, and how far out.
        drop: of each edge that drops into a node: how far out.
        border: how far a box reaches, per side.
        rises: the edges that leave the bottom or top of a node beside the main path, to turn into one on it.
        chained: the edges that run straight from a node to the one below or above it.
    """

    diagram: Diagram
    rows: Rows
    row: Mapping[str, int]
    sizes: dict[str, Size]
    labels: Mapping[Edge, float]
    flipped: frozenset[Edge] = frozenset()
    titled: bool = False
    node: dict[str, float] = field(default_factory=dict)
    lane: dict[Edge, tuple[int, float]] = field(default_factory=dict)
    drop: dict[Edge, float] = field(default_factory=dict)
    border: dict[str, dict[int, float]] = field(default_factory=dict)
    chained: set[Edge] = field(default_factory=set)

    def __post_init__(self) -> None:
        count = 2 * max(self.row.values()) + 2
        self.skyline = {side: [LANE / 2] * count for side in (-1, 1)}
        self.span = {box.id: self._rows_of(box.id) for box in self.diagram.boxes}
        self.straight = self._straight()
        self.rises = self._rises()
        for node in self.diagram.nodes:
            if not self.rows.side[node.id]:
                self._place_main(node.id)
        for edge in self.straight:
            if edge in self.labels:
                gap = 2 * self.row[edge.target] - 1
                self.skyline[1][gap] = self.labels[edge] + LANE
        self._fill(None)

    def side_of(self, edge: Edge) -> int:
        """Return the side that an edge which needs a lane runs along: loops on the left, ways ahead on the right."""
        for end in (edge.source, edge.target):
            if self.rows.side.get(end):
                return self.rows.side[end]
        if edge.source in self.span:
            return 1 if self.row[edge.target] >= self.span[edge.source].start else -1
        return -1 if self.row[edge.target] < self.row[edge.source] or edge in self.flipped else 1

    def may_flip(self, edge: Edge) -> bool:
        """Say whether an edge ahead may as well run along the left."""
        return self.has_lane(edge) and not self.rows.side.get(edge.source, 1) and self.side_of(edge) > 0

    def is_level(self, edge: Edge) -> bool:
        """Say whether both ends of an edge stand in the same row, or it comes from the border of a box around it."""
        if edge.source in self.span:
            return edge.source in self.rows.within[edge.target]
        return self.row[edge.source] == self.row[edge.target] and edge.source != edge.target

    def has_lane(self, edge: Edge) -> bool:
        """Say whether an edge runs along a lane of its own."""
        return not (edge in self.straight or edge in self.rises or self.is_level(edge) or self._drops(edge))

    def _drops(self, edge: Edge) -> bool:
        return bool(self.rows.side[edge.target]) and edge.source != edge.target and not self.is_level(edge)

    def _straight(self) -> set[Edge]:
        """Return the edges from each node of the main path to the next one below."""
        middle = [node for node in self.rows.order if not self.rows.side[node]]
        below = dict(pairwise(middle))
        found: dict[str, Edge] = {}
        for edge in self.diagram.edges:
            if below.get(edge.source) == edge.target:
                found.setdefault(edge.source, edge)
        return set(found.values())

    def _rises(self) -> dict[Edge, bool]:
        """Return which edges leave a node's bottom or top, and whether it is the bottom: the shortest if free."""
        found: dict[tuple[str, bool], Edge] = {}
        for edge in sorted(self.diagram.edges, key=lambda edge: len(self._passed_by(edge))):
            side = self.rows.side.get(edge.source)
            if side and not self.rows.side[edge.target] and not self.is_level(edge):
                down = self.row[edge.target] > self.row[edge.source]
                if not any(drop.from_above != down for drop in self.drops_into(edge.source)):
                    found.setdefault((edge.source, down), edge)
        return {edge: down for (_, down), edge in found.items()}

    def _passed_by(self, edge: Edge) -> range:
        """Return the rows and gaps between the ends of an edge between nodes, that of its target included."""
        if edge.source in self.span:
            return range(0)
        own, other = 2 * self.row[edge.source], 2 * self.row[edge.target]
        return range(own + 1, other + 1) if other > own else range(other, own)

    def _rows_of(self, box: str) -> range:
        rows = [self.row[node] for node in self.rows.inside(box)]
        return range(min(rows), max(rows) + 1)

    # Placing

    def _place_main(self, node: str) -> None:
        self.node[node] = 0.0
        for side in (-1, 1):
            texts = [self.labels[edge] + LANE for edge in self._leaving(node, side) if edge in self.labels]
            texts.append(self._text_from_border(node) if side > 0 else 0.0)
            self._raise(side, [2 * self.row[node]], self.sizes[node][0] / 2 + max(texts))

    def _leaving(self, node: str, side: int) -> Iterator[Edge]:
        """Yield the edges that leave a node of the main path on a side."""
        for edge in self.diagram.edges:
            if edge.source == node and edge not in self.straight and self.side_of(edge) == side:
                yield edge

    def _fill(self, box: str | None) -> None:
        """Place everything whose innermost box is this one, inner boxes first, and then its border."""
        for inner in self.diagram.inside(box):
            self._fill(inner.id)
        things: list[tuple[int, int, str | Edge]] = []
        for node in self.diagram.nodes:
            if node.box == box and self.rows.side[node.id]:
                rows = {self.row[node.id], *(row // 2 for row in self._rows_at(node.id))}
                things.append((max(rows) - min(rows), self.row[node.id], node.id))
        for edge in self.diagram.edges:
            if self.has_lane(edge) and self._common(edge) == box:
                rows = set(self._lane_rows(edge))
                things.append((max(rows) - min(rows), min(rows), edge))
        for _, _, thing in sorted(things, key=lambda thing: thing[:2]):
            if isinstance(thing, Edge):
                self._place_lane(thing)
            else:
                self._place_beside(thing)
        if box is not None:
            rows_inside = range(2 * self.span[box].start, 2 * self.span[box].stop - 1)
            left, right = (self._reach(side, rows_inside) + BORDER for side in (-1, 1))
            self.border[box] = {-1: left + TITLE_ROOM if self.titled else max(left, self._name_ends(box)), 1: right}
            for side in (-1, 1):
                self._raise(side, rows_inside, self.border[box][side])

    def _name_ends(self, box: str) -> float:
        """Return how far out a box has to begin for its name to stand beyond all lines into it from above."""
        text = next(other.text for other in self.diagram.boxes if other.id == box)
        return self._reach(-1, [2 * self.span[box].start - 1]) + LANE + Text((text,), LABEL_SIZE).width

    def _common(self, edge: Edge) -> str | None:
        """Return the innermost box around both ends of an edge; an end that is a box is not around itself."""
        source = self.rows.within[edge.source]
        if edge.source in self.span:
            source = source[:-1]
        both = [box for box in source if box in self.rows.within[edge.target]]
        return both[-1] if both else None

    def _lane_rows(self, edge: Edge) -> range:
        first, last = self._row_left(edge), self.row[edge.target]
        return range(min(first, last), max(first, last) + 1)

    def _row_left(self, edge: Edge) -> int:
        """Return the row that an edge leaves from: that of its node, or of its box the one nearest to the target."""
        if edge.source not in self.span:
            return self.row[edge.source]
        span = self.span[edge.source]
        return span.start if self.row[edge.target] < span.start else span.stop - 1

    def _place_lane(self, edge: Edge) -> None:
        side, rows = self.side_of(edge), self._lane_rows(edge)
        fine = range(2 * rows.start, 2 * rows.stop - 1)
        far = self._reach(side, fine) + LANE
        if edge.source in self.span and edge in self.labels:
            far = max(far, self.border[edge.source][side] + self.labels[edge] + LANE)
        self.lane[edge] = side, far
        self._raise(side, fine, far)

    def drops_into(self, node: str) -> list[Drop]:
        """Return the lines into a node from above and below, in their order from the inside out."""
        own = self.row[node]
        found: list[Drop] = []
        for from_above in (True, False):
            joined: list[Edge] = []
            for edge in self.diagram.edges:
                if edge.target != node or not self._drops(edge) or (self._row_left(edge) < own) != from_above:
                    continue
                if edge.source in self.span:
                    label = self.labels[edge] + 8 if edge in self.labels else 0.0
                    found.append(Drop((edge,), from_above, self._passed(edge, own), label))
                else:
                    joined.append(edge)
            if joined:
                passed = max((self._passed(edge, own) for edge in joined), key=len)
                found.insert(0, Drop(tuple(joined), from_above, passed, 0.0))
        return found

    def _passed(self, edge: Edge, own: int) -> range:
        row = self._row_left(edge)
        if edge.source in self.span:  # it begins below or above the last row of the box
            return range(2 * row + 1, 2 * own) if row < own else range(2 * own + 1, 2 * row)
        return range(2 * row, 2 * own) if row < own else range(2 * own + 1, 2 * row + 1)

    def _place_beside(self, node: str) -> None:
        side, own, drops = self.rows.side[node], 2 * self.row[node], self.drops_into(node)
        width = self._widened(node, drops)
        if self._chain(node, drops):
            return
        near = self._reach(side, [own]) + APART + self._text_of(node, inner=True)
        at = {drop: offset for above in (True, False) for drop, offset in self._offsets(drops, above, width)}
        for drop, offset in at.items():
            near = max(near, self._reach(side, drop.rows) + LANE - offset)
            if drop.label and self.texts_inward(node, drop.from_above):
                near = max(near, self._reach(side, [self._gap_at(own, drop.from_above)]) + drop.label - offset)
        rises = [edge for edge in self.rises if edge.source == node]
        for edge in rises:
            near = max(near, self._reach(side, self._passed_by(edge)) + RISE - width / 2)
        self.node[node] = near + width / 2
        self._raise(side, [own], near + width + self._text_of(node, inner=False))
        for drop, offset in at.items():
            self._raise(side, drop.rows, near + offset)
            if drop.label and not self.texts_inward(node, drop.from_above):
                self._raise(side, [self._gap_at(own, drop.from_above)], near + offset + drop.label)
            for edge in drop.edges:
                self.drop[edge] = near + offset
        for edge in rises:
            self.drop[edge] = near + width / 2
            self._raise(side, self._passed_by(edge), near + width / 2)
            if edge in self.labels:
                gap = self._gap_at(own, not self.rises[edge])
                self._raise(side, [gap], near + width / 2 + self.labels[edge] + LANE)

    def texts_inward(self, node: str, from_above: bool) -> bool:
        """Say whether the texts at the lines into a node stand on their inner side: if nothing else comes in there."""
        return all(drop.label for drop in self.drops_into(node) if drop.from_above == from_above)

    def _gap_at(self, own: int, above: bool) -> int:
        return own - 1 if above else own + 1

    def _rows_at(self, node: str) -> Iterator[int]:
        """Yield the rows and gaps that lines into and out of the top and bottom of a node pass."""
        for drop in self.drops_into(node):
            yield from drop.rows
        for edge in self.rises:
            if edge.source == node:
                yield from self._passed_by(edge)

    def _widened(self, node: str, drops: list[Drop]) -> float:
        """Return how wide a node is, made wide enough for all lines that come in at its top or bottom."""
        width, height = self.sizes[node]
        for from_above in (True, False):
            offsets = [offset for _, offset in self._offsets(drops, from_above, 0.0)] or [0.0]
            width = max(width, offsets[-1] - offsets[0] + 2 * LANE)
        self.sizes[node] = width, height
        return width

    def _offsets(self, drops: Iterable[Drop], from_above: bool, width: float) -> Iterator[tuple[Drop, float]]:
        """Yield where along a node's edge each line comes in, spread about its middle, its text on its outer side."""
        mine = [drop for drop in drops if drop.from_above == from_above]
        inward = self.texts_inward(mine[0].edges[0].target, from_above) if mine else False
        steps = [max(drop.label, 14.0) for drop in (mine[1:] if inward else mine[:-1])]
        start = width / 2 - sum(steps) / 2
        for place, drop in enumerate(mine):
            yield drop, start + sum(steps[:place])

    def _chain(self, node: str, drops: list[Drop]) -> bool:
        """Put a node right below or above the one beside the main path that alone leads to it, if there is room."""
        side = self.rows.side[node]
        if len(drops) != 1 or len(drops[0].edges) != 1:
            return False
        edge = drops[0].edges[0]
        if self.rows.side.get(edge.source) != side or edge.source not in self.node:
            return False
        line, half, own = self.node[edge.source], self.sizes[node][0] / 2, 2 * self.row[node]
        between = [row for row in drops[0].rows if row != 2 * self.row[edge.source]]
        middle = max(line, self._reach(side, [own]) + APART + self._text_of(node, inner=True) + half)
        if middle - line > half - LANE or self._reach(side, between or [own]) + LANE > line:
            return False
        self.node[node], self.drop[edge] = middle, line
        self.chained.add(edge)
        self._raise(side, between, line + (self.labels[edge] + LANE if edge in self.labels else 0))
        self._raise(side, [own], middle + half + self._text_of(node, inner=False))
        return True

    def _text_of(self, node: str, inner: bool) -> float:
        """Return how much room the texts at the edges need that leave a node beside the main path on one side."""
        texts = [
            self.labels[edge] + LANE
            for edge in self.diagram.edges
            if edge.source == node
            and edge in self.labels
            and edge not in self.rises
            and self.leaves_inward(edge) == inner
        ]
        if not inner:
            texts.append(self._text_from_border(node))
        return max(texts, default=0.0)

    def _text_from_border(self, node: str) -> float:
        """Return how much room the texts need at edges into a node from the border of a box around it."""
        coming = (edge for edge in self.diagram.edges if edge.target == node and edge in self.labels)
        return max((self.labels[edge] + 2 * LANE for edge in coming if self.comes_from_border(edge)), default=0.0)

    def comes_from_border(self, edge: Edge) -> bool:
        """Say whether an edge runs inwards, from the border of a box to a node in it."""
        return edge.source in self.span and self.is_level(edge)

    def leaves_inward(self, edge: Edge) -> bool:
        """Say whether an edge leaves a node beside the main path towards it; while that is placed: whether it will.

        What is placed later is further out.
        """
        here = self.node.get(edge.source, float("inf"))
        if self.has_lane(edge):
            return edge in self.lane and self.lane[edge][1] < here
        if self.rows.side[edge.target] != self.rows.side[edge.source]:
            return True
        return edge.target in self.node and self.node[edge.target] < here

    def _reach(self, side: int, rows: Iterable[int]) -> float:
        return max((self.skyline[side][row] for row in rows), default=0.0)

    def _raise(self, side: int, rows: Iterable[int], far: float) -> None:
        line = self.skyline[side]
        for row in rows:
            line[row] = max(line[row], far)
