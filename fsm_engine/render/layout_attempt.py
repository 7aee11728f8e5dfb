"""One attempt at a layout: positions of nodes, boxes, edges and labels for a given choice of rows and sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import accumulate
from typing import Literal, TypeVar

from fsm_engine.render.columns import TITLE_HEIGHT, Columns, Size
from fsm_engine.render.diagram import Diagram, Edge, Node, NodeKind
from fsm_engine.render.layout_cost import layout_cost
from fsm_engine.render.picture import Picture, Point, Rect
from fsm_engine.render.rows import Rows
from fsm_engine.render.text_metrics import LABEL_SIZE, NOTE_SIZE, Text, wrap_evenly, wrap_name

ROW_GAP, PORT_GAP, PADDING = 24.0, 9.0, 8.0
"""Least distances in pixels between rows, between the ends of edges at one side of a node, and to a box's border."""

DIAMETERS = {NodeKind.INITIAL: 18.0, NodeKind.FINAL: 22.0, NodeKind.HISTORY: 30.0}
LABEL_LETTERS, NOTE_LETTERS = 20, 28
"""Most letters in a line of a label, and of a note."""

End = Literal["out", "in"]
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Attempt:
    """Positions of everything in a diagram. The main path runs from top to bottom at x = 0.

    Attributes:
        shared: nodes that share the row of another node, and that node.
        flipped: edges ahead that run on the left.
        row: row number of each node.
        transposed: True if the picture is to run to the right. Sizes are transposed then, positions are not.
        names: texts of nodes, in lines.
        notes: notes of nodes, in lines.
        labels: texts of edges, in lines.
        label_size: sizes of the labels of edges.
        size: sizes of nodes.
        columns: distances from the main path.
        ports: distance of each end of an edge below the middle of its side of a node.
        overhang: how far labels at the sides of a node reach above its middle.
        space_above: space for labels above each row.
        space_below: space for labels below each row.
        heights: heights of the rows.
        title_space: space between the start of each box and its content, for its title.
        tops: y coordinates of the rows.
        boxes: outlines of the boxes.
        label_bounds: positions of the labels of edges.
        routes: edges as polylines.
    """

    def __init__(
        self,
        diagram: Diagram,
        rows: Rows,
        inner: Mapping[str, Picture],
        shared: Mapping[str, str],
        flipped: frozenset[Edge],
    ) -> None:
        self.diagram, self.rows, self.inner, self.shared, self.flipped = diagram, rows, inner, shared, flipped
        self.row = rows.numbers(shared)
        self.transposed = diagram.to_the_right
        self.names = {node.id: wrap_name(node.text) for node in diagram.nodes}
        self.notes = {node.id: _notes(node) for node in diagram.nodes}
        self.labels = {edge: wrap_evenly(edge.text, LABEL_LETTERS, LABEL_SIZE) for edge in diagram.edges if edge.text}
        self.label_size = {edge: self._transposed(text.width, text.height) for edge, text in self.labels.items()}
        self.size = {node.id: self._node_size(node) for node in diagram.nodes}
        widths = {edge: width for edge, (width, _) in self.label_size.items()}
        self.columns = Columns(diagram, rows, self.row, self.size, widths, flipped, self.transposed)
        self.ports: dict[tuple[Edge, End], float] = {}
        self.overhang: dict[str, float] = {}
        for node in diagram.nodes:
            for side in (-1, 1):
                self._set_ports(node.id, side)
        self.space_above: dict[int, float] = {}
        self.space_below = {row: self._riser_label_height(row, down=True) for row in set(self.row.values())}
        self.heights = self._heights()
        self.title_space = self._title_space()
        self.tops = self._tops()
        self.boxes = {box.id: self._box_bounds(box.id) for box in reversed(diagram.boxes)}
        self.label_bounds: dict[Edge, Rect] = {}
        self.routes = {edge: self._route(edge) for edge in diagram.edges}

    @cached_property
    def cost(self) -> float:
        """The cost of the layout; lower is better."""
        bounds: dict[object, Rect] = {node.id: self.node_bounds(node.id) for node in self.diagram.nodes}
        return layout_cost(bounds | self.label_bounds, self.routes, self.boxes.values())

    # Sizes

    def _node_size(self, node: Node) -> Size:
        if node.kind in DIAMETERS:
            return DIAMETERS[node.kind], DIAMETERS[node.kind]
        texts = (self.names[node.id], self.notes[node.id])
        width, height = max(text.width for text in texts) + 24, sum(text.height for text in texts) + 13
        if node.id in self.inner:
            width, height = max(width, self.inner[node.id].width), height + self.inner[node.id].height
        return self._transposed(width, height)

    def _transposed(self, width: float, height: float) -> Size:
        return (height, width) if self.transposed else (width, height)

    # Ends of edges at the sides of nodes

    def _set_ports(self, node: str, side: int) -> None:
        """Spread the ends of the edges at one side of `node`, in the order with the fewest crossings."""
        ends = sorted(self._ends(node, side), key=lambda end: end[0])
        total = 0.0
        for number, (_, edge, end) in enumerate(ends):
            label = self.label_size[edge][1] + 5 if self._has_label(edge, end) else 0.0
            total += max(label, PORT_GAP if number else 0.0)
            self.ports[edge, end] = total
        middle = (self.ports[ends[0][1:]] + total) / 2 if ends else 0.0
        for _, edge, end in ends:
            self.ports[edge, end] -= middle
        width, height = self.size[node]
        if self.diagram.names[node].kind not in DIAMETERS:
            needed = 2 * max((abs(self.ports[edge, end]) for _, edge, end in ends), default=0.0) + 12
            self.size[node] = width, max(height, needed)
        labels = [
            self.label_size[edge][1] - self.ports[edge, end] for _, edge, end in ends if self._has_label(edge, end)
        ]
        self.overhang[node] = max([self.overhang.get(node, 0.0), *labels])

    def _has_label(self, edge: Edge, end: End) -> bool:
        """Return True if the label of `edge` is at this end of it."""
        return edge in self.label_size and (end == "in") == self.columns.enters_from_border(edge)

    def _ends(self, node: str, side: int) -> Iterator[tuple[tuple[int, float], Edge, End]]:
        """Yield the ends of edges at one side of `node`, each with its sort key from top to bottom.

        Edges to or from above come first, inner lanes before outer ones, then level edges, then edges to or from
        below, outer lanes before inner ones. So lines at one side do not cross.
        """
        for edge, other, end in self._edges_at[node]:
            if self._side(edge, end) == side:
                distance = self._distance(edge)
                turn = self._row_at(other, edge) - self.row[node] or (1 if end == "out" else -1)
                if self.columns.is_level(edge):
                    yield (1, 0.0), edge, end
                else:
                    yield ((0, distance) if turn < 0 else (2, -distance)), edge, end

    @cached_property
    def _edges_at(self) -> defaultdict[str, list[tuple[Edge, str, End]]]:
        """The ends of edges by node, each with the other end of its edge."""
        ends: defaultdict[str, list[tuple[Edge, str, End]]] = defaultdict(list)
        for edge in self.diagram.edges:
            ends[edge.source].append((edge, edge.target, "out"))
            ends[edge.target].append((edge, edge.source, "in"))
        return ends

    def _row_at(self, end: str, edge: Edge) -> int:
        """Return the row of a node, or the row of a box nearest to the target of `edge`."""
        if end in self.row:
            return self.row[end]
        span = self.columns.span[end]
        return span.start if self.row[edge.target] < span.start else span.stop - 1

    def _distance(self, edge: Edge) -> float:
        """Return the distance of the vertical part of `edge` from the main path; 0 without one."""
        if edge in self.columns.lane:
            return self.columns.lane[edge][1]
        return self.columns.drop.get(edge, 0.0)

    def _side(self, edge: Edge, end: End) -> int:
        """Return the side of its node at which `edge` ends; 0 for the top or bottom."""
        columns, sides = self.columns, self.rows.side
        if edge in columns.straight or edge in columns.chained or (edge in columns.risers and end == "out"):
            return 0
        if end == "in":
            return self._side_entered(edge)
        if edge.source in columns.span:
            return 0
        own = sides[edge.source]
        if own:
            return -own if columns.leaves_inward(edge) else own
        return columns.lane[edge][0] if edge in columns.lane else sides[edge.target]

    def _side_entered(self, edge: Edge) -> int:
        columns, sides = self.columns, self.rows.side
        own = sides[edge.target]
        if edge in columns.risers:
            return sides[edge.source]
        if edge in columns.drop:
            return 0
        if edge in columns.lane:
            side, distance = columns.lane[edge]
            return side if not own or distance > columns.node[edge.target] else -own
        if edge.source in columns.span:
            return own or columns.side_of(edge)
        if not own:
            return sides[edge.source]
        outer = sides[edge.source] == own and columns.node[edge.source] > columns.node[edge.target]
        return own if outer else -own

    # Heights of rows, and gaps between them

    def _heights(self) -> list[float]:
        """Return the height of each row."""
        heights = [0.0] * (max(self.row.values()) + 1)
        for node, row in self.row.items():
            heights[row] = max(heights[row], self.size[node][1])
        return heights

    def _tops(self) -> list[float]:
        """Return the y coordinate of the top of each row."""
        gaps = accumulate(self._gap(row) for row in range(1, len(self.heights)))
        return [gap + height for gap, height in zip([0.0, *gaps], [0.0, *accumulate(self.heights[:-1])])]

    def _gap(self, row: int) -> float:
        """Return the distance between `row` and the row above, with space for borders of boxes and for labels."""
        starts = [box.id for box in self.diagram.boxes if self.columns.span[box.id].start == row]
        stops = [box.id for box in self.diagram.boxes if self.columns.span[box.id].stop == row]
        labels = self._label_gap(row, bool(starts), bool(stops))
        borders = sum(self.title_space[box] for box in starts) + len(stops) * PADDING
        return labels + borders + (PADDING if starts and self.transposed else 0.0)

    def _label_gap(self, row: int, box_starts: bool, box_stops: bool) -> float:
        """Return the space for labels between `row` and the row above, and set `space_above` of the row.

        Labels above the row lie inside the boxes that start there, labels below the row above inside the boxes that
        stop there.
        """
        texts = [self.label_size[edge][1] for edge in self._labelled_straight[row]]
        drops = [
            self.label_size.get(edge, (0.0, 0.0))[1] + ROW_GAP
            for edge in (*self._drops_from_boxes[row - 1], *self._drops_from_boxes[row])
        ]
        over = max(map(self._over, self._nodes_in_row[row]))
        rising, falling = self._riser_label_height(row, down=False), self.space_below[row - 1]
        if over and (texts or drops or box_starts or falling or over > ROW_GAP - 10):
            self.space_above[row] = over + 4
        if box_starts:
            self.space_above[row], rising = max(self.space_above.get(row, 0.0), rising), 0.0
        inside, falling = (falling, 0.0) if box_stops else (0.0, falling)
        gap = max([ROW_GAP, *(text + 10 for text in texts), *drops, rising + falling])
        return gap + self.space_above.get(row, 0.0) + inside

    def _over(self, node: str) -> float:
        """Return how far labels at the sides of `node` reach above its top."""
        return max(0.0, self.overhang[node] - self.size[node][1] / 2)

    def _riser_label_height(self, row: int, down: bool) -> float:
        """Return the space that the labels of risers need above the nodes in `row`, or below for `down`."""
        labelled = self._labelled_risers[row, down]
        return max((self.label_size[edge][1] + 8 for edge in labelled), default=0.0)

    @cached_property
    def _nodes_in_row(self) -> defaultdict[int, list[str]]:
        return _grouped((row, node) for node, row in self.row.items())

    @cached_property
    def _labelled_straight(self) -> defaultdict[int, list[Edge]]:
        """The straight edges with labels by the row of their target."""
        return _grouped((self.row[edge.target], edge) for edge in self.columns.straight if edge in self.label_size)

    @cached_property
    def _drops_from_boxes(self) -> defaultdict[int, list[Edge]]:
        """The drops from borders of boxes by the row of their target."""
        columns = self.columns
        return _grouped((self.row[edge.target], edge) for edge in columns.drop if edge.source in columns.span)

    @cached_property
    def _labelled_risers(self) -> defaultdict[tuple[int, bool], list[Edge]]:
        """The risers with labels by the row of their source, and by whether they leave its bottom."""
        risers = self.columns.risers.items()
        return _grouped(((self.row[edge.source], down), edge) for edge, down in risers if edge in self.label_size)

    def _title_space(self) -> dict[str, float]:
        """Return the space for the title of each box, between its start and its content."""
        if not self.transposed:
            return {box.id: TITLE_HEIGHT + 7 for box in self.diagram.boxes}
        spaces: dict[str, float] = {}
        for box in reversed(self.diagram.boxes):
            start = self.columns.span[box.id].start
            inner = sum(spaces[other] for other in spaces if self.columns.span[other].start == start)
            title = Text((box.text,), LABEL_SIZE).width + 14
            spaces[box.id] = max(PADDING, title - PADDING - inner - self._first_port(start))
        return spaces

    def _first_port(self, row: int) -> float:
        """Return the distance from the start of `row` to the first end of an edge on the side of the titles."""
        ports = (
            port
            for (edge, end), port in self.ports.items()
            if self.row[edge.source if end == "out" else edge.target] == row and self._side(edge, end) < 0
        )
        return self.heights[row] / 2 + min(ports, default=self.heights[row] / 2)

    def _box_bounds(self, box: str) -> Rect:
        """Return the outline of `box`. Of boxes that start or stop at the same row, outer ones are further out."""
        columns, span = self.columns, self.columns.span[box]
        inner = [other for other in self.diagram.boxes if box in self.rows.enclosing[other.id]]
        above = sum(self.title_space[other.id] for other in inner if columns.span[other.id].start == span.start)
        below = PADDING * sum(columns.span[other.id].stop == span.stop for other in inner)
        top = self.tops[span.start] - self.space_above.get(span.start, 0.0) - above
        top -= PADDING if self.transposed else 0.0
        last = span.stop - 1
        bottom = self.tops[last] + self.heights[last] + self.space_below[last] + below
        left, right = -columns.border[box][-1], columns.border[box][1]
        return Rect((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)

    def node_bounds(self, node: str) -> Rect:
        """Return the outline of `node`."""
        row = self.row[node]
        x = self.columns.node[node] * (self.rows.side[node] or 1)
        return Rect(x, self.tops[row] + self.heights[row] / 2, *self.size[node])

    # Routes of edges

    def _port(self, edge: Edge, end: End) -> Point:
        node = self.node_bounds(edge.source if end == "out" else edge.target)
        side = self._side(edge, end)
        return node.x + side * node.width / 2, node.y + self.ports[edge, end]

    def _route(self, edge: Edge) -> tuple[Point, ...]:
        """Return the polyline of `edge`, and set the position of its label."""
        columns = self.columns
        if edge in columns.straight or edge in columns.chained:
            return self._route_straight(edge)
        if edge.source in columns.span:
            return self._route_from_box(edge)
        if edge in columns.risers:
            return self._route_riser(edge)
        start = self._port(edge, "out")
        self._place_label(edge, start, self._side(edge, "out"))
        if edge in columns.lane:
            return self._along_lane(edge, start)
        if edge in columns.drop:
            x, node = columns.drop[edge] * self.rows.side[edge.target], self.node_bounds(edge.target)
            return start, (x, start[1]), (x, node.top if start[1] < node.y else node.bottom)
        return self._route_across(edge, start)

    def _along_lane(self, edge: Edge, start: Point) -> tuple[Point, ...]:
        side, distance = self.columns.lane[edge]
        end = self._port(edge, "in")
        return start, (side * distance, start[1]), (side * distance, end[1]), end

    def _route_across(self, edge: Edge, start: Point) -> tuple[Point, ...]:
        """Return the polyline between two nodes in the same row, without a bend where the source allows it."""
        end = self._port(edge, "in")
        if start[1] == end[1]:
            return start, end
        from_middle = abs(end[1] - start[1] + self.ports[edge, "out"])
        if from_middle < self.node_bounds(edge.source).height / 2 - 3 and not self._shares_side(edge):
            self._place_label(edge, (start[0], end[1]), self._side(edge, "out"))
            return (start[0], end[1]), end
        middle = (start[0] + end[0]) / 2
        return start, (middle, start[1]), (middle, end[1]), end

    def _shares_side(self, edge: Edge) -> bool:
        side = self._side(edge, "out")
        return sum(1 for _ in self._ends(edge.source, side)) > 1

    def _route_straight(self, edge: Edge) -> tuple[Point, ...]:
        source, target = self.node_bounds(edge.source), self.node_bounds(edge.target)
        x = source.x if source.x == target.x else self.columns.drop[edge] * self.rows.side[edge.target]
        down = source.y < target.y
        start, end = (x, source.bottom if down else source.top), (x, target.top if down else target.bottom)
        if edge in self.label_size:
            width, height = self.label_size[edge]
            side = self.rows.side[edge.target] or 1
            y = self._straight_label_y(edge, down)
            self.label_bounds[edge] = Rect(x + side * (width / 2 + 8), y, width, height)
        return start, end

    def _straight_label_y(self, edge: Edge, down: bool) -> float:
        """Return the position of the label of a straight edge: at its tip, or at its start if a box starts between."""
        height = self.label_size[edge][1]
        source, target = self.node_bounds(edge.source), self.node_bounds(edge.target)
        if not down:
            return target.bottom + height / 2 + 3
        spans = self.columns.span.values()
        box_starts = any(span.start == self.row[edge.target] for span in spans)
        if box_starts and not any(span.stop == self.row[edge.source] + 1 for span in spans):
            return source.bottom + height / 2 + 3
        return target.top - height / 2 - 3 - self._over(edge.target)

    def _route_riser(self, edge: Edge) -> tuple[Point, ...]:
        node, side, end = self.node_bounds(edge.source), self.rows.side[edge.source], self._port(edge, "in")
        down = self.columns.risers[edge]
        start = (node.x, node.bottom if down else node.top)
        if edge in self.label_size:
            width, height = self.label_size[edge]
            y = start[1] + (1 if down else -1) * (height / 2 + 4)
            self.label_bounds[edge] = Rect(node.x + side * (width / 2 + 5), y, width, height)
        return start, (node.x, end[1]), end

    def _route_from_box(self, edge: Edge) -> tuple[Point, ...]:
        columns, box, node = self.columns, self.boxes[edge.source], self.node_bounds(edge.target)
        down = node.y > box.y
        if columns.is_level(edge):
            end, side = self._port(edge, "in"), self._side(edge, "in")
            self._place_label(edge, (end[0] + side * 10, end[1]), side)
            return (box.right if side > 0 else box.left, end[1]), end
        if edge in columns.lane:
            side = columns.lane[edge][0]
            start = (box.right if side > 0 else box.left, self._exit_y(edge.source, down))
            self._place_label(edge, start, side)
            return self._along_lane(edge, start)
        return self._route_drop_from_box(edge, down)

    def _route_drop_from_box(self, edge: Edge, down: bool) -> tuple[Point, ...]:
        """Return the polyline from a box to the top or bottom of a node: straight if the node is below or above."""
        columns, box, node = self.columns, self.boxes[edge.source], self.node_bounds(edge.target)
        side = self.rows.side[edge.target]
        x, tip = columns.drop[edge] * side, node.top if down else node.bottom
        if edge in self.label_size:
            width, height = self.label_size[edge]
            label_side = -side if columns.labels_inward(edge.target, down) else side
            y = tip - height / 2 - 6 - self._over(edge.target) if down else tip + height / 2 + 6
            self.label_bounds[edge] = Rect(x + label_side * (width / 2 + 5), y, width, height)
        if box.left + 8 < x < box.right - 8:
            return (x, box.bottom if down else box.top), (x, tip)
        y = self._exit_y(edge.source, down)
        return (box.right if x > box.right - 9 else box.left, y), (x, y), (x, tip)

    def _exit_y(self, box: str, down: bool) -> float:
        """Return the y coordinate at which edges leave a side of `box`: near a corner, clear of other lines."""
        bounds, span = self.boxes[box], self.columns.span[box]
        nodes = [node for node, row in self.row.items() if row == (span.stop - 1 if down else span.start)]
        ends = ((edge.source if end == "out" else edge.target, port) for (edge, end), port in self.ports.items())
        taken = [self.node_bounds(node).y + port for node, port in ends if node in nodes]
        choices = (bounds.bottom - by if down else bounds.top + by for by in (14, 9, 19, 24))
        return max(choices, key=lambda y: min((4.0, *(abs(y - other) for other in taken))))

    def _place_label(self, edge: Edge, start: Point, side: int) -> None:
        """Put the label of `edge` above its line, where the line leaves a side at `start`."""
        if edge in self.label_size:
            width, height = self.label_size[edge]
            self.label_bounds[edge] = Rect(
                start[0] + side * (width / 2 + 5), start[1] - height / 2 - 1.5, width, height
            )


def _grouped(pairs: Iterable[tuple[K, V]]) -> defaultdict[K, list[V]]:
    """Return the second items of `pairs` by the first ones."""
    groups: defaultdict[K, list[V]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups


def _notes(node: Node) -> Text:
    lines = [line for note in node.notes for line in wrap_evenly(note, NOTE_LETTERS, NOTE_SIZE).lines]
    return Text(tuple(lines), NOTE_SIZE)
