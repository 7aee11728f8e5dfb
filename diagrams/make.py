"""Draw the training lifecycle from its graph: ``python diagrams/make.py`` writes the pictures beside itself.

The main path is what a run of one iteration went through, and the place of everything else follows from the
graph. Graphviz measures the texts and places phases, scopes and tracks; the edges are then drawn along the
tracks. The SVG needs ``pip install pygraphviz``, the Mermaid text nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

from fsm_engine import Engine, Phase, Scope, Transition, Trigger
from fsm_engine.graph import IDLE, Graph, Snippet, code_name

HERE = Path(__file__).resolve().parent
INITIAL, FINAL = "initial", "final"  # IDLE is drawn twice: where runs come from, and where they end

FONT = "Helvetica,Arial,sans-serif"
MAIN, ASIDE, LINE, TEXT = "#1f6fb4", "#616b76", "#848d97", "#747c86"  # told apart by weight as well as by colour
DEFAULTS = f"""
graph [newrank=true bgcolor=transparent nodesep=0.13 ranksep=0.42 pad=0.03 fontname="{FONT}"]
node [fontname="{FONT}" fontsize=9.5 fontcolor=white shape=box style="rounded,filled" height=0.36 margin="0.11,0.03"]
node [fillcolor="{ASIDE}" color="{ASIDE}"]
edge [fontname="{FONT}" fontsize=8.5 fontcolor="{TEXT}" color="{LINE}" arrowsize=0.6]
"""
BOX = f'graph [style=rounded color="{LINE}" fontcolor="{TEXT}" fontsize=9.5 labeljust=l margin=8]'
HEAVY = f'group=main fillcolor="{MAIN}" color="{MAIN}"'
LONG = 20  # letters: a longer name of a phase takes two lines
LETTER, WIDE, LINE_HEIGHT, ARROW, CORNER = 4.2, 6.0, 10.5, 6.0, 7.0  # in points, like these:
APART, EXIT_APART, EXIT_ROOM = 4.5, 14.0, 22.0  # ends at a phase's side; a scope's exit and others; beside its label

XY = tuple[float, float]


class Track(NamedTuple):
    """A vertical line beside the main path: through a phase, or the lane of one transition."""

    name: str
    side: int
    order: tuple[int, ...]
    points: dict[int, tuple[str, Scope | None]]  # per row that it needs: the node there, and its scope


class Chart:
    """What stands where: the main path down the middle, loops on its left, ways out on its right.

    Attributes:
        main: the transitions of a run of one iteration.
        column: the phases that it went through, top to bottom.
        row: the number of the row of each node.
        side: -1 for the nodes left of the main path, 1 for those right of it.
        lanes: the tracks that belong to one transition between phases of the main path.
        tracks: all of them, from the middle outwards.
    """

    def __init__(self) -> None:
        engine = Engine(lambda _engine, _batch: None)
        self.main: list[Transition] = []
        engine.observe(lambda _engine, transition: self.main.append(transition))
        engine.run([None], max_epochs=1)
        self.graph: Graph = engine.lifecycle.graph
        self.column = [INITIAL, *map(target, self.main)]
        self.row = {node: number for number, node in enumerate(self.column)}
        self.side = dict.fromkeys(self.column, 0)
        self._place()
        self.lanes = dict(self._lanes())
        self.tracks = sorted([*self.lanes.values(), *self._through_phases()], key=lambda track: track.order)

    def scope(self, node: str) -> Scope | None:
        """Return the scope that a phase lies in."""
        return self.graph.by_name[node].scope if node in self.graph.by_name else None

    def last(self, scope: Scope) -> str:
        """Return the last phase of the main path inside `scope`."""
        return [node for node in self.column if scope.contains(self.scope(node))][-1]

    def scopes(self, within: Scope | None) -> list[Scope]:
        """Return the scopes right inside one, or the outermost."""
        every = [scope for phase in self.graph.phases for scope in path(phase.scope)]
        return [scope for scope in dict.fromkeys(every) if scope.parent == within]

    def _place(self) -> None:
        """Put a phase beside the main path a row below what leads to it; a history in its scope's last row."""
        for edge in self.graph.transitions:
            if isinstance(edge.target, Scope):
                self.row[source(edge)] = self.row[target(edge)] = self.row[self.last(edge.target)]
        for edge in sorted(self.graph.transitions, key=lambda edge: not isinstance(edge.source, Scope)):
            if target(edge) not in self.row:
                above = self.last(edge.source) if isinstance(edge.source, Scope) else source(edge)
                self.row[target(edge)] = self.row[above] + 1
        for edge in self.graph.transitions:
            if target(edge) in self.column and self.row[target(edge)] < self.row.get(source(edge), 0):
                self.side.setdefault(source(edge), -1)
        for node in self.row:
            self.side.setdefault(node, 1)

    def _lanes(self) -> Iterator[tuple[Transition, Track]]:
        down = {
            edge: self.row[target(edge)] - self.row[source(edge)]
            for edge in self.graph.transitions
            if edge not in self.main and {source(edge), target(edge)} <= set(self.column)
        }
        for number, (edge, rows) in enumerate(down.items()):
            start, end = self.scope(source(edge)), self.scope(target(edge))
            leaves = common(start, end) != start and 0 < rows <= -min(down.values())  # and is in no loop's way
            first = min(self.row[source(edge)], self.row[target(edge)])
            points = {row: (f"lane {number} {row}", common(start, end)) for row in range(first, first + abs(rows) + 1)}
            order = (-len(path(common(start, end))), 0, abs(rows))
            yield edge, Track(f"lane {number}", 1 if leaves else -1, order, points)

    def _through_phases(self) -> Iterator[Track]:
        aside = [node for node in self.graph.by_name if node != IDLE and node not in self.column]
        above = {
            source(edge): target(edge) for edge in self.graph.transitions if {source(edge), target(edge)} <= {*aside}
        }
        for node in aside:
            if node in above:
                continue  # stands on the track of the phase that it leads to
            on_track = [node, *(other for other, onto in above.items() if onto == node)]
            points = {self.row[other]: (other, self.scope(other)) for other in on_track}
            depth = len(path(self.scope(node)))
            for edge in self.graph.transitions:
                if node == source(edge) and isinstance(edge.target, Scope):
                    history = {self.row[node]: (target(edge), edge.target)}
                    yield Track(target(edge), self.side[node], (-depth, 0, self.row[node]), history)
                elif node in (source(edge), target(edge)) and not isinstance(edge.source, Scope):
                    rows = sorted((self.row[source(edge)], self.row[target(edge)]))
                    for row in range(rows[0], rows[1] + 1):
                        scope = common(self.scope(source(edge)), self.scope(self.column[row]))
                        points.setdefault(row, (f"{node} {row}", scope))
                    if node == target(edge):
                        depth = max(depth, len(path(self.scope(source(edge)))))
            yield Track(node, self.side[node], (-depth, 1, self.row[node]), points)


def source(edge: Transition) -> str:
    """Return the name of the node or scope that `edge` leaves."""
    return INITIAL if edge.source == IDLE else name(edge.source)


def target(edge: Transition) -> str:
    """Return the name of the node that `edge` leads to; the history of a scope is a node as well."""
    if isinstance(edge.target, Scope):
        return f"{edge.target}_history"
    return FINAL if edge.target == IDLE else name(edge.target)


def name(end: Any) -> str:
    """Return the name of a phase's event or of a scope."""
    return end if isinstance(end, str) else str(end.name)


def path(scope: Scope | None) -> list[Scope]:
    """Return the scopes from the outermost to `scope`."""
    return [] if scope is None else [*path(scope.parent), scope]


def common(one: Scope | None, other: Scope | None) -> Scope | None:
    """Return the innermost scope that contains both."""
    return next((scope for scope in reversed(path(one)) if scope.contains(other)), None)


def label(edge: Transition) -> str:
    """Return what is written at an edge: the signal, or the guard in brackets; nothing if it has neither."""
    if edge.trigger is Trigger.SIGNAL:
        return edge.label
    return "" if edge.guard is None else f"[{code_name(edge.guard)}]"


def evenly(text: str, most: int) -> list[str]:
    """Return `text` in as few lines of at most `most` letters as will do, each about as long as the others."""
    few = len(wrap(text, most))
    tries = (wrap(text, length, break_long_words=False) for length in range(1, most))
    return next((lines for lines in tries if len(lines) <= few), wrap(text, most))


def width(lines: list[str]) -> float:
    """Return about how wide a label is, in points."""
    return max(sum(WIDE if letter.isupper() else LETTER for letter in line) for line in lines)


def skeleton(chart: Chart) -> str:
    """Return, as DOT, what Graphviz is to place: phases in scopes, and a point wherever a track passes a row."""
    lines = ["digraph lifecycle {", DEFAULTS, *_nodes(chart, None)]
    lines += [f'{INITIAL} [shape=circle width=0.17 height=0.17 label="" {HEAVY}]']
    lines += [f'{FINAL} [shape=doublecircle width=0.13 height=0.13 label="" {HEAVY}]', "edge [style=invis]"]
    lines += [f"{above} -> {below} [weight=9999]" for above, below in pairwise(chart.column)]
    for track in chart.tracks:
        points = [node for _, (node, _) in sorted(track.points.items())]
        lines += [f'"{above}" -> "{below}" [weight=999]' for above, below in pairwise(points)]
    room = _room(chart)
    for row, middle in enumerate(chart.column):
        across = {-1: [middle], 1: [middle]}
        for track in chart.tracks:
            if row in track.points:
                node = track.points[row][0]
                across[track.side].append(node)
                if node in room:  # right beside a phase on the left, else right beside the main path
                    across[track.side].insert(-1 if node in chart.row and track.side < 0 else 1, f"room {node}")
        order = [*reversed(across[-1]), *across[1][1:]]
        chain = " -> ".join(f'"{node}"' for node in order)
        lines += [f"{{ rank=same; {chain} }}"]
    return "\n".join([*lines, "}"])


def _nodes(chart: Chart, scope: Scope | None) -> Iterator[str]:
    room = _room(chart)
    for phase in chart.graph.phases:
        if phase.scope == scope and phase.name != IDLE:
            yield f"{phase} [label={_caption(phase)} {HEAVY if phase.name in chart.column else ''}]"
    for track in chart.tracks:
        for row, (node, within) in track.points.items():
            if chart.scope(chart.column[row]) == scope and node in room:
                yield f'"room {node}" [label="" style=invis width={room[node] / 72:.2f}]'
            if within == scope and node not in chart.row:
                yield f'"{node}" [shape=point style=invis width=0.01]'
            elif within == scope and node not in chart.graph.by_name:
                yield f'"{node}" [shape=circle fixedsize=true width=0.28 label="H*"]'
    for inner in chart.scopes(scope):
        yield f'subgraph "cluster_{inner}" {{ {BOX} label="{inner}"'
        yield from _nodes(chart, inner)
        yield "}"


def _caption(phase: Phase) -> str:
    """Return the name, and below it what the phase does if that calls the user's code."""
    big, small = [phase.name], []
    if len(phase.name) > LONG:
        head, _, tail = phase.name.partition("_")
        big = [f"{head}_", tail]
    if isinstance(phase.activity, Snippet) and phase.activity.runs_user_code:
        small = evenly(phase.activity.name, 24)
    rows = [*big, *(f'<font point-size="8">{line}</font>' for line in small)]
    cells = "".join(f"<tr><td>{row}</td></tr>" for row in rows)
    return f'<<table border="0" cellborder="0" cellspacing="0" cellpadding="0">{cells}</table>>'


def _room(chart: Chart) -> dict[str, float]:
    """Return how wide the texts are that stand between the main path and a point of a track, by that point."""
    room: dict[str, float] = {}
    tracks = {track.name: track for track in chart.tracks}
    for edge in chart.graph.transitions:
        level = chart.row.get(source(edge), -1)
        track = chart.lanes.get(edge) or tracks.get(target(edge)) or tracks.get(source(edge))
        inward = source(edge) in chart.column or (target(edge) in chart.column and chart.row[target(edge)] == level)
        if isinstance(edge.source, Scope) and chart.side[target(edge)] < 0:
            room[target(edge)] = EXIT_ROOM
        if track and label(edge) and inward and edge not in chart.main:
            node = track.points[level][0]
            room[node] = max(room.get(node, 0), width(evenly(label(edge), LONG)))
    return room


class Drawing:
    """The placed nodes and scopes, and the edges along the tracks. Points are from the lower left corner."""

    def __init__(self, chart: Chart) -> None:
        import pygraphviz

        self.chart = chart
        self.dot = pygraphviz.AGraph(string=skeleton(chart))
        self.dot.layout("dot")  # which leaves positions; from here on nothing is moved
        self.at: dict[str, XY] = {}
        self.size: dict[str, XY] = {}  # the halves of them
        for node in self.dot.nodes():
            x, y = map(float, node.attr["pos"].split(","))
            self.at[str(node)] = x, y
            grown = 4 if node.attr["shape"] == "doublecircle" else 0
            self.size[str(node)] = float(node.attr["width"]) * 36 + grown, float(node.attr["height"]) * 36 + grown
        self.boxes = dict(self._boxes(self.dot))
        self.dot.delete_edges_from(self.dot.edges())
        self.dot.delete_nodes_from([node for node in self.dot.nodes() if str(node) not in chart.row])
        for end in (INITIAL, FINAL):
            x, y = self.at[end]
            self._text(f"name of {end}", IDLE, (x - self.size[end][0] - 15, y))
        for edge in chart.graph.transitions:
            self._draw(edge)

    def svg(self) -> str:
        """Return the picture."""
        return str(self.dot.draw(format="svg", prog="nop2").decode())

    def _boxes(self, outer: Any) -> Iterator[tuple[str, tuple[float, ...]]]:
        for inner in outer.subgraphs():
            if inner.graph_attr["bb"]:
                yield inner.name, tuple(map(float, inner.graph_attr["bb"].split(",")))[:3]
            yield from self._boxes(inner)

    def _text(self, node: str, text: str, at: XY) -> None:
        self.dot.add_node(node, shape="plaintext", style="", label=text, fontcolor=TEXT, pos=f"{at[0]:.2f},{at[1]:.2f}")

    def _draw(self, edge: Transition) -> None:
        tail, corners = source(edge), self._corners(edge)
        look: dict[str, Any] = {"pos": _spline(corners), "style": "solid"}
        if isinstance(edge.source, Scope):
            tail = f"any of {edge.source}"
            self.dot.add_node(tail, style="invis", shape="point", pos="{:.2f},{:.2f}".format(*corners[0]))
            look["style"] = "dashed"
        if edge in self.chart.main:
            look |= {"penwidth": 3, "color": MAIN, "arrowsize": 0.7}
        if label(edge):
            text, (x, y) = self._label(edge, corners)
            look |= {"label": r"\n".join(text), "lp": f"{x:.2f},{y:.2f}"}
        self.dot.add_edge(tail, target(edge), **look)

    def _corners(self, edge: Transition) -> list[XY]:
        start, end, column = source(edge), target(edge), self.chart.column
        if edge in self.chart.main:
            return [self._end(start, -1), self._end(end, 1)]
        if isinstance(edge.source, Scope):
            return self._out_of(edge, edge.source)
        if edge in self.chart.lanes:
            track = self.chart.lanes[edge]
            x = self.at[next(iter(track.points.values()))[0]][0]
            leave, enter = self._flank(start, track.side, "out"), self._flank(end, track.side, "in")
            return [leave, (x, leave[1]), (x, enter[1]), enter]
        if start not in column and end not in column:
            if self.chart.row[start] == self.chart.row[end]:
                side = 1 if self.at[end][0] > self.at[start][0] else -1
                return [self._side(start, side), self._side(end, -side)]
            up = 1 if self.at[end][1] > self.at[start][1] else -1
            return [self._end(start, up), self._end(end, -up)]
        if start in column:
            leave, enter = self._flank(start, self.chart.side[end], "out"), self._end(end, 1)
            return [leave, (enter[0], leave[1]), enter]
        side, enter = self.chart.side[start], self._flank(end, self.chart.side[start], "in")
        if self.chart.row[start] == self.chart.row[end]:
            return [(self.at[start][0] - side * self.size[start][0], enter[1]), enter]
        leave = self._end(start, 1 if self.at[end][1] > self.at[start][1] else -1)
        return [leave, (leave[0], enter[1]), enter]

    def _out_of(self, edge: Transition, scope: Scope) -> list[XY]:
        left, bottom, right = self.boxes[f"cluster_{scope}"]
        end, side = target(edge), self.chart.side[target(edge)]
        x, y = self._end(end, 1)
        if any(end in (source(e), target(e)) and self._above(e, end) for e in self.chart.graph.transitions):
            x -= side * EXIT_APART
        if left < x < right:
            return [(x, bottom), (x, y)]
        level = bottom + 2 * CORNER
        return [(left if side < 0 else right, level), (x, level), (x, y)]

    def _above(self, edge: Transition, node: str) -> bool:
        """Say whether `edge` joins `node` with a node further up."""
        rows = [self.chart.row.get(end, self.chart.row[node]) for end in (source(edge), target(edge))]
        return min(rows) < self.chart.row[node]

    def _end(self, node: str, up: int) -> XY:
        """Return where an edge meets the top or bottom of a node."""
        return self.at[node][0], self.at[node][1] + up * self.size[node][1]

    def _side(self, node: str, side: int) -> XY:
        """Return where an edge meets the middle of a node's side."""
        return self.at[node][0] + side * self.size[node][0], self.at[node][1]

    def _flank(self, node: str, side: int, way: str) -> XY:
        """Return where an edge meets the side of a phase of the main path: out low, in high, if there are both."""
        both = len({way for _, way in self._edges(node, side)}) > 1
        shift = 0 if not both else APART if way == "in" else -APART
        return self.at[node][0] + side * self.size[node][0], self.at[node][1] + shift

    def _edges(self, node: str, side: int) -> list[tuple[Transition, str]]:
        """Return the edges that meet a side of a phase of the main path, and whether they go out or in."""
        found = []
        for edge in self.chart.graph.transitions:
            if edge in self.chart.main or isinstance(edge.source, Scope):
                continue
            lane = self.chart.lanes.get(edge)
            for mine, other, way in ((source(edge), target(edge), "out"), (target(edge), source(edge), "in")):
                if mine == node and side == (lane.side if lane else self.chart.side[other]):
                    found.append((edge, way))
        return found

    def _label(self, edge: Transition, corners: list[XY]) -> tuple[list[str], XY]:
        (x, y), (bend, level), *_ = corners
        side = self.chart.side.get(source(edge)) or self.chart.side[target(edge)]
        text = evenly(label(edge), LONG)
        half, tall = width(text) / 2, len(text) * LINE_HEIGHT / 2
        if edge in self.chart.main:
            return text, (x + half + 7, level + tall + 3)
        if isinstance(edge.source, Scope):
            (_, start), (x, end) = corners[-2:]
            return text, (x - side * (half + 4), (start + end) / 2 + 1)
        if not {source(edge), target(edge)} & {*self.chart.column}:
            return text, (x + side * (half + 4), (y + level) / 2)
        if edge in self.chart.lanes:
            return text, (x + (half + 3) * (1 if bend > x else -1), y + (tall + 1) * (1 if corners[2][1] > y else -1))
        if source(edge) in self.chart.column and len(self._edges(source(edge), side)) > 1:
            return text, (bend - side * (half + 4), y - tall - 2)
        if y == level:
            return text, (x + (half + 3) * (1 if bend > x else -1), y + tall + 1)
        if level > y:
            return text, (bend, level + tall + 1)
        text = evenly(label(edge), 26)
        return text, (bend - side * (width(text) / 2 + 5), level + len(text) * LINE_HEIGHT / 2 + 1)


def _spline(corners: list[XY]) -> str:
    """Return straight lines with rounded corners, and room for the arrow's head, as Graphviz writes them."""
    (x, y), tip = corners[-2], corners[-1]
    length = abs(tip[0] - x) + abs(tip[1] - y)
    base = tip[0] - (tip[0] - x) / length * ARROW, tip[1] - (tip[1] - y) / length * ARROW
    stops = [*corners[:-1], base]
    points = [stops[0]]
    for before, corner, after in zip(stops, stops[1:], stops[2:]):
        enter, leave = _towards(corner, before), _towards(corner, after)
        points += [points[-1], enter, enter, _towards(corner, before, 0.45), _towards(corner, after, 0.45), leave]
    points += [points[-1], base, base]
    return f"e,{tip[0]:.2f},{tip[1]:.2f} " + " ".join(f"{x:.2f},{y:.2f}" for x, y in points)


def _towards(start: XY, end: XY, part: float = 1) -> XY:
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])
    step = min(CORNER, length / 2) * part / length
    return start[0] + (end[0] - start[0]) * step, start[1] + (end[1] - start[1]) * step


def mermaid(chart: Chart) -> str:
    """Return the chart as a Mermaid ``stateDiagram-v2``, which has no history: there it is a state like others."""
    lines = ["stateDiagram-v2", "    direction TB", *_states(chart, None, "    ")]
    for edge in sorted(chart.graph.transitions, key=lambda edge: edge not in chart.main):  # the first are laid out best
        ends = " --> ".join("[*]" if end in (INITIAL, FINAL) else end for end in (source(edge), target(edge)))
        lines.append(f"    {ends} : {label(edge)}" if label(edge) else f"    {ends}")
    lines.append(f"    classDef main fill:{MAIN},stroke:{MAIN},color:#ffffff")
    lines.append(f"    class {','.join(chart.column[1:-1])} main")
    return "\n".join(lines) + "\n"


def _states(chart: Chart, scope: Scope | None, indent: str) -> Iterator[str]:
    for phase in chart.graph.phases:
        if phase.scope == scope and phase.name != IDLE:
            yield f"{indent}{phase}"
    if any(edge.target == scope for edge in chart.graph.transitions):
        yield f'{indent}state "H*" as {scope}_history'
    for inner in chart.scopes(scope):
        yield f"{indent}state {inner} {{"
        yield from _states(chart, inner, indent + "    ")
        yield f"{indent}}}"


def main() -> None:
    """Write the pictures."""
    chart = Chart()
    (HERE / "lifecycle.mmd").write_text(mermaid(chart), encoding="utf-8")
    (HERE / "lifecycle.svg").write_text(Drawing(chart).svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
