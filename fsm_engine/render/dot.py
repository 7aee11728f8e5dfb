"""A diagram as text for Graphviz's ``dot``, for whoever lays pictures out with a Graphviz of their own.

Scopes are clusters. What leaves every phase of a scope starts at the last phase of the main path in it and is cut off
at the border, so its target comes below. The main path weighs most, so it is straight. A way back is written from its
target with ``dir=back``, so that it moves nothing: Graphviz would choose for itself which edges of a loop lead up.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterator

from fsm_engine.render.diagram import Box, Change, Diagram, Edge, EdgeKind, Mark, Node, NodeKind
from fsm_engine.render.labels import edge_text, node_text, one_line
from fsm_engine.render.themes import THEMES, Theme

_POINTS = (NodeKind.INITIAL, NodeKind.FINAL)
_INDENT = "  "


def to_dot(diagram: Diagram, theme: Theme = THEMES["auto"]) -> str:
    """Return `diagram` as DOT text, without positions."""
    whole = _Part(diagram, theme, _Names())
    lines = [*_defaults(diagram, theme), *whole.nodes(), *whole.edges()]
    return "\n".join(["digraph lifecycle {", *(_INDENT + line for line in lines), "}"]) + "\n"


class _Names:
    """The names of nodes and clusters that were given so far."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def new(self, text: str) -> str:
        """Return `text` as a name that nothing else has, and that needs no escaping."""
        name = one_line(text).translate(str.maketrans('\\"%', "/'_"))  # with a % in front, Graphviz has it for its own
        names = itertools.chain([name], (f"{name} {number}" for number in itertools.count(2)))
        given = next(name for name in names if name not in self.used)
        self.used.add(given)
        return given


class _Part:
    """One diagram: the whole, or what runs inside a node."""

    def __init__(self, diagram: Diagram, theme: Theme, names: _Names) -> None:
        self.diagram, self.theme = diagram, theme
        nested = {n.id: n.inner for n in diagram.nodes if n.inner is not None and n.inner.nodes}
        self.names = {node.id: names.new(node.id) for node in diagram.nodes if node.id not in nested}
        self.group = names.new("main")
        self.inner = {node: _Part(inner, theme, names) for node, inner in nested.items()}
        self.clusters = {end: names.new(f"cluster {end}") for end in (*self.inner, *(box.id for box in diagram.boxes))}
        self.order = {node.id: number for number, node in enumerate(diagram.nodes)}
        self.boxes = {box.id: box for box in diagram.boxes}
        left = (edge.source for edge in diagram.edges if not self._comes_out(edge))
        self.any_of = {box: names.new(f"any of {box}") for box in dict.fromkeys(left)}

    def nodes(self, box: Box | None = None) -> Iterator[str]:
        """Return the nodes in a box, or outside all of them."""
        at = None if box is None else box.id
        for node in self.diagram.nodes:
            if node.box == at and node.id in self.inner:
                text = ", ".join(filter(None, [node_text(node), self.inner[node.id].diagram.title]))
                border = self.theme.current if Mark.CURRENT in node.marks else self.theme.paint(node).border
                look = {"color": border, "penwidth": "3" if Mark.CURRENT in node.marks else "1.5"}
                yield from self._cluster(node.id, look | {"label": _text(text)}, self.inner[node.id].nodes())
            elif node.box == at:
                yield f"{_quoted(self.names[node.id])} {_listed(self._look(node))}"
        if at in self.any_of:
            look = {"label": _text(f"any of {self.boxes[at].text}"), "style": "rounded,dashed"}
            look |= {"fontcolor": self.theme.text, "color": self.theme.box}
            yield f"{_quoted(self.any_of[at])} {_listed(look)}"
        for inner in self.diagram.boxes_in(at):
            look = {"color": self.theme.box, "penwidth": "1"}  # said again, or it would be that of the box around it
            yield from self._cluster(inner.id, look | {"label": _text(inner.text)}, self.nodes(inner))

    def _cluster(self, end: str, look: dict[str, str], inside: Iterator[str]) -> Iterator[str]:
        yield f"subgraph {_quoted(self.clusters[end])} {{"
        yield f"{_INDENT}graph {_listed(look)}"
        yield from (_INDENT + line for line in inside)
        yield "}"

    def _look(self, node: Node) -> dict[str, str]:
        paint = self.theme.paint(node)
        look = {"color": paint.border, "fontcolor": paint.text}
        look |= {"fillcolor": paint.fill} if paint.fill else {"style": "rounded,dashed"}
        look |= {"tooltip": _text(node.tip)} if node.tip else {}
        if node.main:
            look["group"] = self.group
        if node.kind in _POINTS:
            shape, size = ("circle", "0.17") if node.kind is NodeKind.INITIAL else ("doublecircle", "0.11")
            return look | {"shape": shape, "label": "", "width": size, "height": size}
        if node.kind is NodeKind.HISTORY:
            return look | {"shape": "circle", "label": _text(node.text), "width": "0.3", "fixedsize": "true"}
        look["label"] = _rows(node_text(node), node.notes) if node.notes else _text(node_text(node))
        look |= _CHANGED[node.change] if node.change is not None else {}
        if Mark.CURRENT in node.marks:
            look |= {"color": self.theme.current, "penwidth": "4"}
        return look

    def edges(self) -> Iterator[str]:
        """Return the edges, those of inner parts included."""
        yield from map(self._edge, self.diagram.edges)
        for part in self.inner.values():
            yield from part.edges()

    def _edge(self, edge: Edge) -> str:
        tail, head = self._anchor(edge.source), self._anchor(edge.target, enter=True)
        out, into = (edge.source, edge.target) if edge.source != edge.target else (None, None)
        look = self._line(edge)
        arrow = _ARROWS.get(edge.kind, "normal")
        if not edge.main and self._place(edge.target) < self._place(edge.source):
            tail, head, out, into = head, tail, into, out
            look |= {"dir": "back", "arrowtail": arrow, "weight": "0"}
        elif arrow != "normal":
            look["arrowhead"] = arrow
        borders = {"ltail": out, "lhead": into}
        look |= {
            at: self.clusters[end] for at, end in borders.items() if end in self.clusters and end not in self.any_of
        }
        return f"{_quoted(tail)} -> {_quoted(head)} {_listed(look)}".rstrip()

    def _line(self, edge: Edge) -> dict[str, str]:
        look = {"label": f" {_text(edge_text(edge))} "} if edge_text(edge) else {}
        look |= {"tooltip": _text(edge.tip), "labeltooltip": _text(edge.tip)} if edge.tip else {}
        if self.theme.stroke(edge) != self.theme.line:
            look["color"] = self.theme.stroke(edge)
        if edge.main:
            return look | {"penwidth": "2.5", "weight": "100"}
        if edge.kind is EdgeKind.ERROR or edge.source in self.boxes or edge.change is Change.REMOVED:
            look["style"] = "dashed"
        elif edge.kind is EdgeKind.DISCOVERED:
            look["style"] = "dotted"
        return look | ({"penwidth": "2.5"} if edge.change in (Change.ADDED, Change.CHANGED) else {})

    def _comes_out(self, edge: Edge) -> bool:
        """Say whether `edge` can be drawn from the border of the box that it leaves: Graphviz draws outwards only."""
        if edge.source not in self.boxes:
            return True
        return not self._lies_in(edge.target, edge.source) and len(self._inside(edge.source)) > 0

    def _inside(self, box: str) -> list[Node]:
        return [node for node in self.diagram.nodes if self._lies_in(node.id, box)]

    def _lies_in(self, end: str, box: str) -> bool:
        at = self.diagram.names[end].box
        while at is not None and at != box:
            at = self.boxes[at].parent
        return at == box

    def _anchor(self, end: str, enter: bool = False) -> str:
        """Return the name of the node that an edge from or to `end` is attached to."""
        if end in self.any_of:
            return self.any_of[end]
        if end in self.inner:
            nodes = self.inner[end].diagram.nodes
            return self.inner[end]._anchor(nodes[0 if enter else -1].id, enter)
        return self.names[end] if end in self.names else self._anchor(self._last(end).id)

    def _last(self, box: str) -> Node:
        """Return the last node of the main path in a box, or its last one."""
        inside = self._inside(box)
        return [node for node in inside if node.main or not any(n.main for n in inside)][-1]

    def _place(self, end: str) -> int:
        if end in self.any_of:
            return -1
        return self.order[end] if end in self.order else self.order[self._last(end).id]


_ARROWS = {EdgeKind.FIRED: "vee", EdgeKind.ERROR: "onormal"}
_CHANGED = {
    Change.ADDED: {"penwidth": "2.5"},
    Change.REMOVED: {"style": "rounded,filled,dashed"},
    Change.CHANGED: {"penwidth": "2.5"},
}
"""What tells parts apart besides colours."""


def _defaults(diagram: Diagram, theme: Theme) -> Iterator[str]:
    font = {"fontname": theme.font}
    graph = {"compound": "true", "newrank": "true", "rankdir": "LR" if diagram.to_the_right else "TB"}
    graph |= {
        "bgcolor": theme.background or "transparent",
        "nodesep": "0.3",
        "ranksep": "0.35",
        "labelloc": "t",
        "labeljust": "l",
    }
    graph |= {
        "style": "rounded",
        "color": theme.box,
        "fontcolor": theme.text,
        "fontsize": "10",
        "label": _text(diagram.title),
    }
    yield f"graph {_listed(graph | font)}"
    node = {"shape": "box", "style": "rounded,filled", "height": "0.36", "margin": "0.12,0.04", "fontsize": "10"}
    yield f"node {_listed(node | font)}"
    edge = {"color": theme.line, "fontcolor": theme.text, "fontsize": "9", "arrowsize": "0.7"}
    yield f"edge {_listed(edge | font)}"


def _listed(attributes: dict[str, str]) -> str:
    listed = " ".join(f"{name}={_quoted(value)}" for name, value in attributes.items())
    return f"[{listed}]" if listed else ""


class _Html(str):
    """A label with markup, which stands between angle brackets instead of quotation marks."""


def _rows(text: str, notes: tuple[str, ...]) -> _Html:
    small = (f'<br/><font point-size="8">{html.escape(one_line(note))}</font>' for note in notes)
    return _Html(html.escape(text) + "".join(small))


def _quoted(text: str) -> str:
    return f"<{text}>" if isinstance(text, _Html) else f'"{text}"'


_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "&": "&amp;"})


def _text(text: str) -> str:
    """Return `text` so that Graphviz shows it as it is."""
    return one_line(text).translate(_ESCAPES)
