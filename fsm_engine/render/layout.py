"""Where everything in a diagram stands: the main path straight down the middle, everything else beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, partial
from operator import attrgetter

from fsm_engine.render.columns import TITLE_ROOM, Columns, Size
from fsm_engine.render.diagram import Box, Diagram, Edge, Node, NodeKind
from fsm_engine.render.layout_cost import cost, lines
from fsm_engine.render.picture import Label, Picture, PlacedBox, PlacedNode, Point, Rect, Route
from fsm_engine.render.rows import Rows
from fsm_engine.render.text_metrics import LABEL_SIZE, NOTE_SIZE, TITLE_SIZE, Text, name, wrap_evenly

MARGIN, GAP, PORT, PAD = 8.0, 24.0, 9.0, 8.0  # around the picture; between rows; between ends at a side; in a box
ROUND = {NodeKind.INITIAL: 18.0, NodeKind.FINAL: 22.0, NodeKind.HISTORY: 30.0}
MOST, MANY = 20, 60  # letters in a line of a label; nodes, from which on rows are not shared


def lay_out(diagram: Diagram) -> Picture:
    """Return `diagram` with a place for everything. It takes up to a few seconds."""
    rows = Rows(diagram)
    inner = {node.id: lay_out(node.inner) for node in diagram.nodes if node.inner is not None}
    attempt = partial(_Layout, diagram, rows, inner)
    best = attempt({}, frozenset())
    if len(diagram.nodes) > MANY:
        return best.picture()
    for node in rows.order:
        tries = [{**best.shared, node: other} for other in _neighbours(rows, node, best.shared)]
        best = min((best, *(attempt(shared, best.flipped) for shared in tries)), key=attrgetter("cost"))
    for edge in [edge for edge in diagram.edges if best.columns.may_flip(edge)]:
        best = min(best, attempt(best.shared, best.flipped | {edge}), key=attrgetter("cost"))
    return best.picture()


def _neighbours(rows: Rows, node: str, shared: Mapping[str, str]) -> list[str]:
    """Return the nodes whose row one beside the main path may share: the nearest, in the same box, not before it."""
    if not rows.side[node] or node in shared.values():
        return []
    place, first = rows.order.index(node), rows.rank[node][:1]
    near = [n for n in rows.order if rows.within[n] == rows.within[node] and n != node and n not in shared]
    return sorted((n for n in near if rows.rank[n] >= first), key=lambda n: abs(rows.order.index(n) - place))[:6]


class _Layout:
    """One try. In here everything runs from top to bottom; `picture` turns it if it is to run to the right."""

    def __init__(
        self,
        diagram: Diagram,
        rows: Rows,
        inner: Mapping[str, Picture],
        shared: Mapping[str, str],
        flipped: frozenset[Edge],
    ) -> None:
        self.diagram, self.rows, self.inner, self.shared, self.flipped = diagram, rows, inner, shared, flipped
        self.row = rows.numbered(shared)
        self.turned = diagram.to_the_right
        self.names = {node.id: name(node.text) for node in diagram.nodes}
        self.notes = {node.id: _notes(node) for node in diagram.nodes}
        self.texts = {edge: wrap_evenly(edge.text, MOST, LABEL_SIZE) for edge in diagram.edges if edge.text}
        self.room = {edge: self._turned(text.width, text.height) for edge, text in self.texts.items()}
        self.size = {node.id: self._size(node) for node in diagram.nodes}
        self.columns = Columns(
            diagram,
            rows,
            self.row,
            self.size,
            {edge: width for edge, (width, _) in self.room.items()},
            flipped,
            self.turned,
        )
        self.ports: dict[tuple[Edge, str], float] = {}
        self.over: dict[str, float] = {}  # how far texts at the ends reach up from the middle of a node
        for node in diagram.nodes:
            for side in (-1, 1):
                self._set_ports(node.id, side)
        self.lift: dict[int, float] = {}  # how far texts reach above a row
        self.sink = {row: self._risen(row, down=True) for row in set(self.row.values())}  # and below it
        self.heights = self._heights()
        self.strips = self._strips()
        self.tops = self._tops()
        self.boxes = {box.id: self._box(box.id) for box in reversed(diagram.boxes)}
        self.labels: dict[Edge, Rect] = {}
        self.routes = {edge: self._route(edge) for edge in diagram.edges}

    # Sizes

    def _size(self, node: Node) -> Size:
        if node.kind in ROUND:
            return ROUND[node.kind], ROUND[node.kind]
        texts = (self.names[node.id], self.notes[node.id])
        width, height = max(text.width for text in texts) + 24, sum(text.height for text in texts) + 13
        if node.id in self.inner:
            width, height = max(width, self.inner[node.id].width), height + self.inner[node.id].height
        return self._turned(width, height)

    def _turned(self, width: float, height: float) -> Size:
        return (height, width) if self.turned else (width, height)

    # Ends of edges at the sides of nodes

    def _set_ports(self, node: str, side: int) -> None:
        """Spread the ends of the edges at one side of a node, so that they cross as little as can be."""
        ends = sorted(self._ends(node, side), key=lambda end: end[0])
        total = 0.0
        for place, (_, edge, way) in enumerate(ends):
            text = self.room[edge][1] + 5 if self._has_text(edge, way) else 0.0
            total += max(text, PORT if place else 0.0)
            self.ports[edge, way] = total
        middle = (self.ports[ends[0][1:]] + total) / 2 if ends else 0.0
        for _, edge, way in ends:
            self.ports[edge, way] -= middle
        width, height = self.size[node]
        if self.diagram.names[node].kind not in ROUND:
            needed = 2 * max((abs(self.ports[edge, way]) for _, edge, way in ends), default=0.0) + 12
            self.size[node] = width, max(height, needed)
        texts = [self.room[edge][1] - self.ports[edge, way] for _, edge, way in ends if self._has_text(edge, way)]
        self.over[node] = max([self.over.get(node, 0.0), *texts])

    def _has_text(self, edge: Edge, way: str) -> bool:
        """Say whether the text of an edge stands at this end of it."""
        return edge in self.room and (way == "in") == self.columns.comes_from_border(edge)

    def _ends(self, node: str, side: int) -> Iterator[tuple[tuple[int, float], Edge, str]]:
        for edge in self.diagram.edges:
            for end, other, way in ((edge.source, edge.target, "out"), (edge.target, edge.source, "in")):
                if end == node and self._side(edge, way) == side:
                    far = self._far(edge)
                    turn = self._row_at(other, edge) - self.row[node] or (1 if way == "out" else -1)
                    if self.columns.is_level(edge):
                        yield (1, 0.0), edge, way
                    else:
                        yield ((0, far) if turn < 0 else (2, -far)), edge, way

    def _row_at(self, end: str, edge: Edge) -> int:
        if end in self.row:
            return self.row[end]
        span = self.columns.span[end]
        return span.start if self.row[edge.target] < span.start else span.stop - 1

    def _far(self, edge: Edge) -> float:
        if edge in self.columns.lane:
            return self.columns.lane[edge][1]
        return self.columns.drop.get(edge, 0.0)

    def _side(self, edge: Edge, way: str) -> int:
        """Return the side of its node at which an edge ends, 0 if it is the top or bottom."""
        columns, sides = self.columns, self.rows.side
        if edge in columns.straight or edge in columns.chained or (edge in columns.rises and way == "out"):
            return 0
        if way == "in":
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
        if edge in columns.rises:
            return sides[edge.source]
        if edge in columns.drop:
            return 0
        if edge in columns.lane:
            side, far = columns.lane[edge]
            return side if not own or far > columns.node[edge.target] else -own
        if edge.source in columns.span:
            return own or columns.side_of(edge)
        if not own:
            return sides[edge.source]
        outer = sides[edge.source] == own and columns.node[edge.source] > columns.node[edge.target]
        return own if outer else -own

    # From row to row

    def _heights(self) -> list[float]:
        """Return how tall each row is."""
        heights = [0.0] * (max(self.row.values()) + 1)
        for node, row in self.row.items():
            heights[row] = max(heights[row], self.size[node][1])
        return heights

    def _tops(self) -> list[float]:
        """Return where each row begins."""
        gaps = [0.0, *(self._gap(row) for row in range(1, len(self.heights)))]
        return [sum(gaps[: row + 1]) + sum(self.heights[:row]) for row in range(len(self.heights))]

    def _gap(self, row: int) -> float:
        """Return how much lies between a row and the one above: room for borders of boxes, and for texts at arrows."""
        starts = [box.id for box in self.diagram.boxes if self.columns.span[box.id].start == row]
        ends = [box.id for box in self.diagram.boxes if self.columns.span[box.id].stop == row]
        between = self._between(row, bool(starts), bool(ends))
        borders = sum(self.strips[box] for box in starts) + len(ends) * PAD
        return between + borders + (PAD if starts and self.turned else 0.0)

    def _between(self, row: int, opened: bool, closed: bool) -> float:
        """Return how much the texts need between a row and the one above, if boxes begin or end there."""
        texts = [self.room[e][1] for e in self.columns.straight if e in self.room and self.row[e.target] == row]
        down = [
            self.room.get(edge, (0.0, 0.0))[1] + GAP
            for edge in self.columns.drop
            if edge.source in self.columns.span and row in (self.row[edge.target], self.row[edge.target] + 1)
        ]
        over = max(self._over(node) for node, own in self.row.items() if own == row)
        risen, sunk = self._risen(row, down=False), self.sink[row - 1]
        if over and (texts or down or opened or sunk or over > GAP - 10):
            self.lift[row] = over + 4
        if opened:
            self.lift[row], risen = max(self.lift.get(row, 0.0), risen), 0.0
        inside, sunk = (sunk, 0.0) if closed else (0.0, sunk)  # of the boxes that end
        return max([GAP, *(text + 10 for text in texts), *down, risen + sunk]) + self.lift.get(row, 0.0) + inside

    def _over(self, node: str) -> float:
        """Return how far texts at the ends of edges reach above a node."""
        return max(0.0, self.over[node] - self.size[node][1] / 2)

    def _risen(self, row: int, down: bool) -> float:
        """Return how much room the texts need at edges that leave the tops or bottoms of the nodes in a row."""
        rises = self.columns.rises.items()
        texts = (self.room[e][1] + 8 for e, d in rises if d == down and e in self.room and self.row[e.source] == row)
        return max(texts, default=0.0)

    def _strips(self) -> dict[str, float]:
        """Return how much each box begins before what is in it: room for its name."""
        if not self.turned:
            return {box.id: TITLE_ROOM + 7 for box in self.diagram.boxes}
        strips: dict[str, float] = {}
        for box in reversed(self.diagram.boxes):
            start = self.columns.span[box.id].start
            inner = sum(strips[other] for other in strips if self.columns.span[other].start == start)
            name = Text((box.text,), LABEL_SIZE).width + 14
            strips[box.id] = max(PAD, name - PAD - inner - self._first_line(start))
        return strips

    def _first_line(self, row: int) -> float:
        """Return how far from the beginning of a row the first line comes in or goes out past the names of boxes."""
        ends = (
            port
            for (edge, way), port in self.ports.items()
            if self.row[edge.source if way == "out" else edge.target] == row and self._side(edge, way) < 0
        )
        return self.heights[row] / 2 + min(ends, default=self.heights[row] / 2)

    def _box(self, box: str) -> Rect:
        """Return the outline of a box; of several that begin or end at the same row, outer ones are further out."""
        columns, span = self.columns, self.columns.span[box]
        inner = [other for other in self.diagram.boxes if box in self.rows.within[other.id]]
        above = sum(self.strips[other.id] for other in inner if columns.span[other.id].start == span.start)
        below = PAD * sum(columns.span[other.id].stop == span.stop for other in inner)
        top = self.tops[span.start] - self.lift.get(span.start, 0.0) - above - (PAD if self.turned else 0.0)
        bottom = self.tops[span.stop - 1] + self.heights[span.stop - 1] + self.sink[span.stop - 1] + below
        left, right = -columns.border[box][-1], columns.border[box][1]
        return Rect((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)

    # Edges

    def _at(self, node: str) -> Rect:
        row = self.row[node]
        x = self.columns.node[node] * (self.rows.side[node] or 1)
        return Rect(x, self.tops[row] + self.heights[row] / 2, *self.size[node])

    def _end(self, edge: Edge, way: str) -> Point:
        node = self._at(edge.source if way == "out" else edge.target)
        side = self._side(edge, way)
        return node.x + side * node.width / 2, node.y + self.ports[edge, way]

    def _route(self, edge: Edge) -> tuple[Point, ...]:
        columns = self.columns
        if edge in columns.straight or edge in columns.chained:
            return self._route_straight(edge)
        if edge.source in columns.span:
            return self._route_from_box(edge)
        if edge in columns.rises:
            return self._route_rising(edge)
        start = self._end(edge, "out")
        self._label_at(edge, start, self._side(edge, "out"))
        if edge in columns.lane:
            side, far = columns.lane[edge]
            end = self._end(edge, "in")
            return start, (side * far, start[1]), (side * far, end[1]), end
        if edge in columns.drop:
            x, node = columns.drop[edge] * self.rows.side[edge.target], self._at(edge.target)
            return start, (x, start[1]), (x, node.top if start[1] < node.y else node.bottom)
        end = self._end(edge, "in")
        if start[1] == end[1]:
            return start, end
        level = (
            end[1] if abs(end[1] - start[1] + self.ports[edge, "out"]) < self._at(edge.source).height / 2 - 3 else None
        )
        if level is not None and not self._shares_side(edge):
            self._label_at(edge, (start[0], level), self._side(edge, "out"))
            return (start[0], level), end
        middle = (start[0] + end[0]) / 2
        return start, (middle, start[1]), (middle, end[1]), end

    def _shares_side(self, edge: Edge) -> bool:
        side = self._side(edge, "out")
        return sum(1 for _ in self._ends(edge.source, side)) > 1

    def _route_straight(self, edge: Edge) -> tuple[Point, ...]:
        one, other = self._at(edge.source), self._at(edge.target)
        x = one.x if one.x == other.x else self.columns.drop[edge] * self.rows.side[edge.target]
        down = one.y < other.y
        start, end = (x, one.bottom if down else one.top), (x, other.top if down else other.bottom)
        if edge in self.room:
            width, height = self.room[edge]
            side = self.rows.side[edge.target] or 1
            self.labels[edge] = Rect(x + side * (width / 2 + 8), self._height_of_text(edge, down), width, height)
        return start, end

    def _height_of_text(self, edge: Edge, down: bool) -> float:
        """Return where the text at a straight edge stands: at its tip; at its start if boxes begin in between."""
        height, one, other = self.room[edge][1], self._at(edge.source), self._at(edge.target)
        if not down:
            return other.bottom + height / 2 + 3
        spans = self.columns.span.values()
        begin = any(span.start == self.row[edge.target] for span in spans)
        if begin and not any(span.stop == self.row[edge.source] + 1 for span in spans):
            return one.bottom + height / 2 + 3
        return other.top - height / 2 - 3 - self._over(edge.target)

    def _route_rising(self, edge: Edge) -> tuple[Point, ...]:
        node, side, end = self._at(edge.source), self.rows.side[edge.source], self._end(edge, "in")
        down = self.columns.rises[edge]
        start = (node.x, node.bottom if down else node.top)
        if edge in self.room:
            width, height = self.room[edge]
            y = start[1] + (1 if down else -1) * (height / 2 + 4)
            self.labels[edge] = Rect(node.x + side * (width / 2 + 5), y, width, height)
        return start, (node.x, end[1]), end

    def _route_from_box(self, edge: Edge) -> tuple[Point, ...]:
        columns, box, node = self.columns, self.boxes[edge.source], self._at(edge.target)
        down = node.y > box.y
        if columns.is_level(edge):
            end, side = self._end(edge, "in"), self._side(edge, "in")
            self._label_at(edge, (end[0] + side * 10, end[1]), side)
            return (box.right if side > 0 else box.left, end[1]), end
        if edge in columns.lane:
            side, far = columns.lane[edge]
            start = (box.right if side > 0 else box.left, self._level(edge.source, down))
            end = self._end(edge, "in")
            self._label_at(edge, start, side)
            return start, (side * far, start[1]), (side * far, end[1]), end
        side = self.rows.side[edge.target]
        x, tip = columns.drop[edge] * side, node.top if down else node.bottom
        if edge in self.room:
            width, height = self.room[edge]
            out = -side if columns.texts_inward(edge.target, down) else side
            y = tip - height / 2 - 6 - self._over(edge.target) if down else tip + height / 2 + 6
            self.labels[edge] = Rect(x + out * (width / 2 + 5), y, width, height)
        if box.left + 8 < x < box.right - 8:
            return (x, box.bottom if down else box.top), (x, tip)
        level = self._level(edge.source, down)
        return (box.right if x > box.right - 9 else box.left, level), (x, level), (x, tip)

    def _level(self, box: str, down: bool) -> float:
        """Return where edges leave the side of a box: near its corner, apart from the lines of the nodes there."""
        room, span = self.boxes[box], self.columns.span[box]
        nodes = [node for node, row in self.row.items() if row == (span.stop - 1 if down else span.start)]
        ends = ((edge.source if way == "out" else edge.target, port) for (edge, way), port in self.ports.items())
        taken = [self._at(node).y + port for node, port in ends if node in nodes]
        tries = (room.bottom - by if down else room.top + by for by in (14, 9, 19, 24))
        return max(tries, key=lambda y: min((4.0, *(abs(y - other) for other in taken))))

    def _label_at(self, edge: Edge, start: Point, side: int) -> None:
        """Put the text of an edge where it leaves a side: above its line."""
        if edge in self.room:
            width, height = self.room[edge]
            self.labels[edge] = Rect(start[0] + side * (width / 2 + 5), start[1] - height / 2 - 1.5, width, height)

    # Whether it came out well

    @cached_property
    def cost(self) -> float:
        """How bad it is."""
        rooms: dict[object, Rect] = {node.id: self._at(node.id) for node in self.diagram.nodes}
        return cost(rooms | self.labels, self.routes, self.boxes.values())

    # The picture

    def picture(self) -> Picture:
        """Return where everything stands, moved so that the upper left corner is at (0, 0)."""
        names = self.diagram.names
        nodes = {node: self._at(node) for node in names}
        every = [*nodes.values(), *self.boxes.values(), *self.labels.values()]
        every += [line for points in self.routes.values() for line in lines(points)]
        turn = _Turn(self.turned, min(r.left for r in every), min(r.top for r in every))
        width, height = turn.size(max(r.right for r in every), max(r.bottom for r in every))
        title = Text((self.diagram.title,), TITLE_SIZE) if self.diagram.title else None
        turn.shift = title.height + 14 if title else 0.0
        width = max(width, title.width + 2 * MARGIN if title else 0)
        placed = tuple(self._placed(names[node], turn.rect(room)) for node, room in nodes.items())
        routes = tuple(
            Route(edge, tuple(map(turn.point, points)), self._label(edge, turn)) for edge, points in self.routes.items()
        )
        drawn = [line for route in routes for line in lines(route.points)]
        return Picture(
            width,
            height + turn.shift,
            placed,
            tuple(_framed(box, turn.rect(self.boxes[box.id]), drawn) for box in self.diagram.boxes),
            routes,
            Label(title, Rect(width / 2, MARGIN + title.height / 2, title.width, title.height)) if title else None,
        )

    def _placed(self, node: Node, room: Rect) -> PlacedNode:
        text, notes = self.names[node.id], self.notes[node.id]
        inner = self.inner.get(node.id)
        at = (room.x - inner.width / 2, room.top + text.height + notes.height + 10) if inner else (0.0, 0.0)
        return PlacedNode(node, room, text, notes, (inner, at) if inner else None)

    def _label(self, edge: Edge, turn: _Turn) -> Label | None:
        return Label(self.texts[edge], turn.rect(self.labels[edge])) if edge in self.texts else None


class _Turn:
    """From the coordinates of a layout to those of its picture."""

    def __init__(self, turned: bool, left: float, top: float) -> None:
        self.turned, self.left, self.top, self.shift = turned, left, top, 0.0

    def point(self, point: Point) -> Point:
        x, y = point[0] - self.left + MARGIN, point[1] - self.top + MARGIN
        return (y, x + self.shift) if self.turned else (x, y + self.shift)

    def rect(self, rect: Rect) -> Rect:
        x, y = self.point((rect.x, rect.y))
        return Rect(x, y, *((rect.height, rect.width) if self.turned else (rect.width, rect.height)))

    def size(self, right: float, bottom: float) -> Size:
        width, height = right - self.left + 2 * MARGIN, bottom - self.top + 2 * MARGIN
        return (height, width) if self.turned else (width, height)


def _notes(node: Node) -> Text:
    lines = [line for note in node.notes for line in wrap_evenly(note, 28, NOTE_SIZE).lines]
    return Text(tuple(lines), NOTE_SIZE)


def _framed(box: Box, room: Rect, drawn: Iterable[Rect]) -> PlacedBox:
    """Return a box with its name in the upper left corner, or where first no line runs through it."""
    title = Text((box.text,), LABEL_SIZE)
    corner = Rect(room.left + 9 + title.width / 2, room.top + 4 + title.height / 2, title.width, title.height)
    near = [line for line in drawn if line.meets(corner._replace(x=room.x, width=room.width))]
    places = [corner, *(corner._replace(x=x + 6 + title.width / 2) for x in sorted(line.right for line in near))]
    free = [place for place in places if place.right < room.right and not any(line.meets(place, 4) for line in near)]
    return PlacedBox(box, room, Label(title, next(iter(free), corner)))
