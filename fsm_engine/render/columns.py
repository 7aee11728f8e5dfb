"""Distances from the main path: of nodes, of the lanes of edges beside them, and of the borders of boxes.

Each side is filled from the inside out. A skyline keeps how far each row, and each gap below a row, is occupied;
every new part is placed beyond the skyline, so no part covers another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from fsm_engine.render.diagram import Diagram, Edge
from fsm_engine.render.rows import Rows
from fsm_engine.render.text_metrics import LABEL_SIZE, Text

NODE_GAP, LANE_GAP, BORDER_GAP, RISER_GAP = 22.0, 11.0, 10.0, 26.0
"""Distances in pixels of nodes, lanes, borders and risers from the next part further in."""

TITLE_HEIGHT = 16.0
"""Height in pixels that the title of a box takes."""

PORT_GAP = 14.0
"""Least distance in pixels between two drops into the same side of a node."""

Size = tuple[float, float]


@dataclass(frozen=True)
class Drop:
    """A line into the top or bottom of a node beside the main path.

    Attributes:
        edges: the edges that share the line.
        from_above: True if the line comes from above.
        rows: the rows and gaps that the line passes, without the row of the node.
        label: width of the label beside the line, in pixels.
    """

    edges: tuple[Edge, ...]
    from_above: bool
    rows: range
    label: float = 0.0


@dataclass
class Columns:
    """The distance of every part from the main path, positive on both sides.

    In `Drop.rows` and in the skyline, ``2 * row`` is a row and ``2 * row + 1`` the gap below it.

    Attributes:
        diagram: the diagram.
        rows: order and sides of the nodes.
        row: row number of each node.
        sizes: width and height of each node; wider after placement where many lines enter it.
        labels: widths of the labels of edges.
        flipped: edges ahead that run on the left although loops do.
        titled: True if titles of boxes need space at the left border instead of above.
        node: distance of the centre of each node.
        lane: side and distance of each edge that has a lane.
        drop: distance of the vertical part of each edge that drops into a node or rises out of one.
        border: distance of the border of each box, per side.
        risers: edges that leave the top or bottom of a node beside the main path and turn into a node on it; True for
            those that leave the bottom.
        chained: edges that run straight between two nodes beside the main path.
        straight: edges between two nodes that follow each other on the main path.
        span: the rows of each box.
        skyline: per side, the occupied distance of each row and gap.
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
        self.skyline = {side: [LANE_GAP / 2] * count for side in (-1, 1)}
        self.span = {box.id: self._rows_of(box.id) for box in self.diagram.boxes}
        self.straight = self._straight()
        self.risers = self._risers()
        for node in self.diagram.nodes:
            if not self.rows.side[node.id]:
                self._place_on_path(node.id)
        for edge in self.straight:
            if edge in self.labels:
                gap = 2 * self.row[edge.target] - 1
                self.skyline[1][gap] = self.labels[edge] + LANE_GAP
        self._place_content(None)

    def side_of(self, edge: Edge) -> int:
        """Return the side of the lane of `edge`: loops run on the left, edges ahead on the right."""
        for end in (edge.source, edge.target):
            if self.rows.side.get(end):
                return self.rows.side[end]
        if edge.source in self.span:
            return 1 if self.row[edge.target] >= self.span[edge.source].start else -1
        return -1 if self.row[edge.target] < self.row[edge.source] or edge in self.flipped else 1

    def may_flip(self, edge: Edge) -> bool:
        """Return True if `edge` has a lane on the right that could as well run on the left."""
        return self.has_lane(edge) and not self.rows.side.get(edge.source, 1) and self.side_of(edge) > 0

    def is_level(self, edge: Edge) -> bool:
        """Return True if both ends of `edge` are in the same row, or it enters from the border of a box around it."""
        if edge.source in self.span:
            return edge.source in self.rows.enclosing[edge.target]
        return self.row[edge.source] == self.row[edge.target] and edge.source != edge.target

    def has_lane(self, edge: Edge) -> bool:
        """Return True if `edge` runs along a lane of its own."""
        return not (edge in self.straight or edge in self.risers or self.is_level(edge) or self._drops(edge))

    def _drops(self, edge: Edge) -> bool:
        """Return True if `edge` enters a node beside the main path at its top or bottom."""
        return bool(self.rows.side[edge.target]) and edge.source != edge.target and not self.is_level(edge)

    def _straight(self) -> set[Edge]:
        """Return the first edge from each node of the main path to the next one below."""
        path = [node for node in self.rows.order if not self.rows.side[node]]
        below = dict(pairwise(path))
        found: dict[str, Edge] = {}
        for edge in self.diagram.edges:
            if below.get(edge.source) == edge.target:
                found.setdefault(edge.source, edge)
        return set(found.values())

    def _risers(self) -> dict[Edge, bool]:
        """Return the risers: per node and direction the shortest edge to the main path, if no line drops in there."""
        found: dict[tuple[str, bool], Edge] = {}
        for edge in sorted(self.diagram.edges, key=lambda edge: len(self._riser_rows(edge))):
            side = self.rows.side.get(edge.source)
            if side and not self.rows.side[edge.target] and not self.is_level(edge):
                down = self.row[edge.target] > self.row[edge.source]
                if not any(drop.from_above != down for drop in self.drops_into(edge.source)):
                    found.setdefault((edge.source, down), edge)
        return {edge: down for (_, down), edge in found.items()}

    def _riser_rows(self, edge: Edge) -> range:
        """Return the rows and gaps that `edge` passes between two nodes, the row of its target included."""
        if edge.source in self.span:
            return range(0)
        source, target = 2 * self.row[edge.source], 2 * self.row[edge.target]
        return range(source + 1, target + 1) if target > source else range(target, source)

    def _rows_of(self, box: str) -> range:
        rows = [self.row[node] for node in self.rows.nodes_in(box)]
        return range(min(rows), max(rows) + 1)

    # Placement

    def _place_on_path(self, node: str) -> None:
        self.node[node] = 0.0
        for side in (-1, 1):
            texts = [self.labels[edge] + LANE_GAP for edge in self._leaving(node, side) if edge in self.labels]
            texts.append(self._border_label_width(node) if side > 0 else 0.0)
            self._raise_skyline(side, [2 * self.row[node]], self.sizes[node][0] / 2 + max(texts))

    def _leaving(self, node: str, side: int) -> Iterator[Edge]:
        """Yield the edges that leave a node of the main path on one side."""
        for edge in self.diagram.leaving[node]:
            if edge not in self.straight and self.side_of(edge) == side:
                yield edge

    def _place_content(self, box: str | None) -> None:
        """Place the inner boxes of `box`, then the nodes and lanes directly in it, then its border.

        Parts that span few rows come first, so they are further in.
        """
        for inner in self.diagram.boxes_in(box):
            self._place_content(inner.id)
        parts: list[tuple[int, int, str | Edge]] = []
        for node in self.diagram.nodes:
            if node.box == box and self.rows.side[node.id]:
                rows = {self.row[node.id], *(row // 2 for row in self._vertical_rows(node.id))}
                parts.append((max(rows) - min(rows), self.row[node.id], node.id))
        for edge in self.diagram.edges:
            if self.has_lane(edge) and self._common_box(edge) == box:
                rows = set(self._lane_rows(edge))
                parts.append((max(rows) - min(rows), min(rows), edge))
        for _, _, part in sorted(parts, key=lambda part: part[:2]):
            if isinstance(part, Edge):
                self._place_lane(part)
            else:
                self._place_beside(part)
        if box is not None:
            self._place_border(box)

    def _place_border(self, box: str) -> None:
        rows = range(2 * self.span[box].start, 2 * self.span[box].stop - 1)
        left, right = (self._reach(side, rows) + BORDER_GAP for side in (-1, 1))
        left = left + TITLE_HEIGHT if self.titled else max(left, self._title_reach(box))
        self.border[box] = {-1: left, 1: right}
        for side in (-1, 1):
            self._raise_skyline(side, rows, self.border[box][side])

    def _title_reach(self, box: str) -> float:
        """Return the distance from which on the title of `box` is clear of all lines into the box from above."""
        text = next(other.text for other in self.diagram.boxes if other.id == box)
        return self._reach(-1, [2 * self.span[box].start - 1]) + LANE_GAP + Text((text,), LABEL_SIZE).width

    def _common_box(self, edge: Edge) -> str | None:
        """Return the innermost box around both ends of `edge`. A box that is an end does not enclose itself."""
        source = self.rows.enclosing[edge.source]
        if edge.source in self.span:
            source = source[:-1]
        common = [box for box in source if box in self.rows.enclosing[edge.target]]
        return common[-1] if common else None

    def _lane_rows(self, edge: Edge) -> range:
        first, last = self._source_row(edge), self.row[edge.target]
        return range(min(first, last), max(first, last) + 1)

    def _source_row(self, edge: Edge) -> int:
        """Return the row that `edge` leaves: of its node, or the row of its box nearest to the target."""
        if edge.source not in self.span:
            return self.row[edge.source]
        span = self.span[edge.source]
        return span.start if self.row[edge.target] < span.start else span.stop - 1

    def _place_lane(self, edge: Edge) -> None:
        side, rows = self.side_of(edge), self._lane_rows(edge)
        passed = range(2 * rows.start, 2 * rows.stop - 1)
        distance = self._reach(side, passed) + LANE_GAP
        if edge.source in self.span and edge in self.labels:
            distance = max(distance, self.border[edge.source][side] + self.labels[edge] + LANE_GAP)
        self.lane[edge] = side, distance
        self._raise_skyline(side, passed, distance)

    def drops_into(self, node: str) -> list[Drop]:
        """Return the drops into `node`, first those from above, each group from the inside out.

        All edges from nodes share one drop per direction. Each edge from a box has its own.
        """
        own = self.row[node]
        found: list[Drop] = []
        for from_above in (True, False):
            shared: list[Edge] = []
            for edge in self.diagram.entering[node]:
                if not self._drops(edge) or (self._source_row(edge) < own) != from_above:
                    continue
                if edge.source in self.span:
                    label = self.labels[edge] + 8 if edge in self.labels else 0.0
                    found.append(Drop((edge,), from_above, self._drop_rows(edge, own), label))
                else:
                    shared.append(edge)
            if shared:
                rows = max((self._drop_rows(edge, own) for edge in shared), key=len)
                found.insert(0, Drop(tuple(shared), from_above, rows, 0.0))
        return found

    def _drop_rows(self, edge: Edge, own: int) -> range:
        row = self._source_row(edge)
        if edge.source in self.span:  # the drop starts at the border, outside the last row of the box
            return range(2 * row + 1, 2 * own) if row < own else range(2 * own + 1, 2 * row)
        return range(2 * row, 2 * own) if row < own else range(2 * own + 1, 2 * row + 1)

    def _place_beside(self, node: str) -> None:
        """Place a node beside the main path, with its drops and risers."""
        side, own, drops = self.rows.side[node], 2 * self.row[node], self.drops_into(node)
        width = self._widen(node, drops)
        if self._place_chained(node, drops):
            return
        inner = self._reach(side, [own]) + NODE_GAP + self._label_width(node, inward=True)
        offsets = {drop: offset for above in (True, False) for drop, offset in self._drop_offsets(drops, above, width)}
        for drop, offset in offsets.items():
            inner = max(inner, self._reach(side, drop.rows) + LANE_GAP - offset)
            if drop.label and self.labels_inward(node, drop.from_above):
                inner = max(inner, self._reach(side, [self._gap(own, drop.from_above)]) + drop.label - offset)
        risers = [edge for edge in self.diagram.leaving[node] if edge in self.risers]
        for edge in risers:
            inner = max(inner, self._reach(side, self._riser_rows(edge)) + RISER_GAP - width / 2)
        self.node[node] = inner + width / 2
        self._raise_skyline(side, [own], inner + width + self._label_width(node, inward=False))
        for drop, offset in offsets.items():
            self._raise_skyline(side, drop.rows, inner + offset)
            if drop.label and not self.labels_inward(node, drop.from_above):
                self._raise_skyline(side, [self._gap(own, drop.from_above)], inner + offset + drop.label)
            for edge in drop.edges:
                self.drop[edge] = inner + offset
        for edge in risers:
            self.drop[edge] = inner + width / 2
            self._raise_skyline(side, self._riser_rows(edge), inner + width / 2)
            if edge in self.labels:
                gap = self._gap(own, not self.risers[edge])
                self._raise_skyline(side, [gap], inner + width / 2 + self.labels[edge] + LANE_GAP)

    def labels_inward(self, node: str, from_above: bool) -> bool:
        """Return True if the labels of the drops into `node` are on the inner side: if every drop there has one."""
        return all(drop.label for drop in self.drops_into(node) if drop.from_above == from_above)

    def _gap(self, own: int, above: bool) -> int:
        return own - 1 if above else own + 1

    def _vertical_rows(self, node: str) -> Iterator[int]:
        """Yield the rows and gaps that the drops and risers of `node` pass."""
        for drop in self.drops_into(node):
            yield from drop.rows
        for edge in self.diagram.leaving[node]:
            if edge in self.risers:
                yield from self._riser_rows(edge)

    def _widen(self, node: str, drops: list[Drop]) -> float:
        """Make `node` wide enough for all of its drops, and return its width."""
        width, height = self.sizes[node]
        for from_above in (True, False):
            offsets = [offset for _, offset in self._drop_offsets(drops, from_above, 0.0)] or [0.0]
            width = max(width, offsets[-1] - offsets[0] + 2 * LANE_GAP)
        self.sizes[node] = width, height
        return width

    def _drop_offsets(self, drops: Iterable[Drop], from_above: bool, width: float) -> Iterator[tuple[Drop, float]]:
        """Yield the position of each drop along the top or bottom of a node, spread about its middle."""
        mine = [drop for drop in drops if drop.from_above == from_above]
        inward = self.labels_inward(mine[0].edges[0].target, from_above) if mine else False
        steps = [max(drop.label, PORT_GAP) for drop in (mine[1:] if inward else mine[:-1])]
        start = width / 2 - sum(steps) / 2
        for number, drop in enumerate(mine):
            yield drop, start + sum(steps[:number])

    def _place_chained(self, node: str, drops: list[Drop]) -> bool:
        """Place `node` straight above or below its only source, if that is on the same side and space is free.

        Returns:
            True if the node was placed.
        """
        side = self.rows.side[node]
        if len(drops) != 1 or len(drops[0].edges) != 1:
            return False
        edge = drops[0].edges[0]
        if self.rows.side.get(edge.source) != side or edge.source not in self.node:
            return False
        line, half, own = self.node[edge.source], self.sizes[node][0] / 2, 2 * self.row[node]
        between = [row for row in drops[0].rows if row != 2 * self.row[edge.source]]
        middle = max(line, self._reach(side, [own]) + NODE_GAP + self._label_width(node, inward=True) + half)
        if middle - line > half - LANE_GAP or self._reach(side, between or [own]) + LANE_GAP > line:
            return False
        self.node[node], self.drop[edge] = middle, line
        self.chained.add(edge)
        self._raise_skyline(side, between, line + (self.labels[edge] + LANE_GAP if edge in self.labels else 0))
        self._raise_skyline(side, [own], middle + half + self._label_width(node, inward=False))
        return True

    def _label_width(self, node: str, inward: bool) -> float:
        """Return the space that labels need on the inner or outer side of a node beside the main path."""
        texts = [
            self.labels[edge] + LANE_GAP
            for edge in self.diagram.leaving[node]
            if edge in self.labels and edge not in self.risers and self.leaves_inward(edge) == inward
        ]
        if not inward:
            texts.append(self._border_label_width(node))
        return max(texts, default=0.0)

    def _border_label_width(self, node: str) -> float:
        """Return the space that the labels of edges into `node` from the border of a box around it need."""
        entering = (edge for edge in self.diagram.entering[node] if edge in self.labels)
        widths = (self.labels[edge] + 2 * LANE_GAP for edge in entering if self.enters_from_border(edge))
        return max(widths, default=0.0)

    def enters_from_border(self, edge: Edge) -> bool:
        """Return True if `edge` runs from the border of a box to a node inside the box."""
        return edge.source in self.span and self.is_level(edge)

    def leaves_inward(self, edge: Edge) -> bool:
        """Return True if `edge` leaves a node beside the main path towards the main path.

        While the source is not placed yet, its distance counts as infinite: everything placed before is further in.
        """
        own = self.node.get(edge.source, float("inf"))
        if self.has_lane(edge):
            return edge in self.lane and self.lane[edge][1] < own
        if self.rows.side[edge.target] != self.rows.side[edge.source]:
            return True
        return edge.target in self.node and self.node[edge.target] < own

    def _reach(self, side: int, rows: Iterable[int]) -> float:
        """Return the largest occupied distance in some rows and gaps."""
        return max((self.skyline[side][row] for row in rows), default=0.0)

    def _raise_skyline(self, side: int, rows: Iterable[int], distance: float) -> None:
        skyline = self.skyline[side]
        for row in rows:
            skyline[row] = max(skyline[row], distance)
