"""Diagrams in DOT, the language of Graphviz, without positions.

Scopes are clusters. An edge from a scope starts at the last node of the main path in it and is clipped at the border
of the cluster, so its target is below. The main path has the highest weight, which keeps it straight. An edge that
leads back is written from target to source with ``dir=back``; otherwise Graphviz would decide which edges of a loop
lead up.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from functools import partial

from fsm_engine._util.unique_names import unique_name
from fsm_engine.render.diagram import Box, Change, Diagram, Edge, EdgeKind, Mark, Node, NodeKind
from fsm_engine.render.labels import edge_text, node_text, one_line
from fsm_engine.render.themes import THEMES, Theme

_POINTS = (NodeKind.INITIAL, NodeKind.FINAL)
_INDENT = "  "


def to_dot(diagram: Diagram, theme: Theme = THEMES["light"]) -> str:
    """Return `diagram` as DOT text."""
    graph = _Graph(diagram, theme, set())
    lines = [*_defaults(diagram, theme), *graph.nodes(), *graph.edges()]
    return "\n".join(["digraph lifecycle {", *(_INDENT + line for line in lines), "}"]) + "\n"


class _Graph:
    """Writes one diagram: the outermost one, or one inside a node. `names` has all names of nodes and clusters."""

    def __init__(self, diagram: Diagram, theme: Theme, names: set[str]) -> None:
        self.diagram, self.theme = diagram, theme
        new_name = partial(_new_name, names)
        nested = {n.id: n.inner for n in diagram.nodes if n.inner is not None and n.inner.nodes}
        self.names = {node.id: new_name(node.id) for node in diagram.nodes if node.id not in nested}
        self.group = new_name("main")
        self.inner = {node: _Graph(inner, theme, names) for node, inner in nested.items()}
        self.clusters = {end: new_name(f"cluster {end}") for end in (*self.inner, *(box.id for box in diagram.boxes))}
        self.order = {node.id: number for number, node in enumerate(diagram.nodes)}
        self.boxes = {box.id: box for box in diagram.boxes}
        sources = (edge.source for edge in diagram.edges if not self._can_be_clipped(edge))
        self.any_of = {box: new_name(f"any phase of {box}") for box in dict.fromkeys(sources)}

    def nodes(self, box: Box | None = None) -> Iterator[str]:
        """Yield the nodes and clusters in `box`, or those outside all boxes for None."""
        at = None if box is None else box.id
        for node in self.diagram.nodes:
            if node.box == at and node.id in self.inner:
                text = ", ".join(filter(None, [node_text(node), self.inner[node.id].diagram.title]))
                border = self.theme.current if Mark.CURRENT in node.marks else self.theme.node_paint(node).border
                attributes = {"color": border, "penwidth": "3" if Mark.CURRENT in node.marks else "1.5"}
                yield from self._cluster(node.id, attributes | {"label": _text(text)}, self.inner[node.id].nodes())
            elif node.box == at:
                yield f"{_quoted(self.names[node.id])} {_attribute_list(self._node_attributes(node))}"
        if at in self.any_of:
            attributes = {"label": _text(f"any phase of {self.boxes[at].text}"), "style": "rounded,dashed"}
            attributes |= {"fontcolor": self.theme.text, "color": self.theme.box}
            yield f"{_quoted(self.any_of[at])} {_attribute_list(attributes)}"
        for inner in self.diagram.boxes_in(at):
            attributes = {"color": self.theme.box, "penwidth": "1"}  # repeated, because clusters inherit attributes
            yield from self._cluster(inner.id, attributes | {"label": _text(inner.text)}, self.nodes(inner))

    def _cluster(self, end: str, attributes: dict[str, str], inside: Iterator[str]) -> Iterator[str]:
        yield f"subgraph {_quoted(self.clusters[end])} {{"
        yield f"{_INDENT}graph {_attribute_list(attributes)}"
        yield from (_INDENT + line for line in inside)
        yield "}"

    def _node_attributes(self, node: Node) -> dict[str, str]:
        paint = self.theme.node_paint(node)
        attributes = {"color": paint.border, "fontcolor": paint.text}
        attributes |= {"fillcolor": paint.fill} if paint.fill else {"style": "rounded,dashed"}
        attributes |= {"tooltip": _text(node.tip)} if node.tip else {}
        if node.main:
            attributes["group"] = self.group
        if node.kind in _POINTS:
            shape, size = ("circle", "0.17") if node.kind is NodeKind.INITIAL else ("doublecircle", "0.11")
            return attributes | {"shape": shape, "label": "", "width": size, "height": size}
        if node.kind is NodeKind.HISTORY:
            return attributes | {"shape": "circle", "label": _text(node.text), "width": "0.3", "fixedsize": "true"}
        attributes["label"] = _label_with_notes(node_text(node), node.notes) if node.notes else _text(node_text(node))
        attributes |= _CHANGED[node.change] if node.change is not None else {}
        if Mark.CURRENT in node.marks:
            attributes |= {"color": self.theme.current, "penwidth": "4"}
        return attributes

    def edges(self) -> Iterator[str]:
        """Yield the edges of this diagram and of all inner diagrams."""
        yield from map(self._edge, self.diagram.edges)
        for part in self.inner.values():
            yield from part.edges()

    def _edge(self, edge: Edge) -> str:
        tail, head = self._anchor(edge.source), self._anchor(edge.target, enter=True)
        out, into = (edge.source, edge.target) if edge.source != edge.target else (None, None)
        attributes = self._edge_attributes(edge)
        arrow = _ARROWS.get(edge.kind, "normal")
        if not edge.main and self._order_of(edge.target) < self._order_of(edge.source):
            tail, head, out, into = head, tail, into, out
            attributes |= {"dir": "back", "arrowtail": arrow, "weight": "0"}
        elif arrow != "normal":
            attributes["arrowhead"] = arrow
        borders = {"ltail": out, "lhead": into}
        attributes |= {
            at: self.clusters[end] for at, end in borders.items() if end in self.clusters and end not in self.any_of
        }
        return f"{_quoted(tail)} -> {_quoted(head)} {_attribute_list(attributes)}".rstrip()

    def _edge_attributes(self, edge: Edge) -> dict[str, str]:
        attributes = {"label": f" {_text(edge_text(edge))} "} if edge_text(edge) else {}
        attributes |= {"tooltip": _text(edge.tip), "labeltooltip": _text(edge.tip)} if edge.tip else {}
        if self.theme.edge_colour(edge) != self.theme.line:
            attributes["color"] = self.theme.edge_colour(edge)
        if edge.main:
            return attributes | {"penwidth": "2.5", "weight": "100"}
        if edge.kind is EdgeKind.ERROR or edge.source in self.boxes or edge.change is Change.REMOVED:
            attributes["style"] = "dashed"
        elif edge.kind is EdgeKind.DISCOVERED:
            attributes["style"] = "dotted"
        return attributes | ({"penwidth": "2.5"} if edge.change in (Change.ADDED, Change.CHANGED) else {})

    def _can_be_clipped(self, edge: Edge) -> bool:
        """Return False if `edge` leaves an empty box, or a box that contains its target: no border can clip it."""
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
        """Return the name of the node that edges of `end` are attached to; for a box or inner diagram, one inside."""
        if end in self.any_of:
            return self.any_of[end]
        if end in self.inner:
            nodes = self.inner[end].diagram.nodes
            return self.inner[end]._anchor(nodes[0 if enter else -1].id, enter)
        return self.names[end] if end in self.names else self._anchor(self._last(end).id)

    def _last(self, box: str) -> Node:
        """Return the last node of the main path in `box`, or its last node if the path does not enter it."""
        inside = self._inside(box)
        return [node for node in inside if node.main or not any(n.main for n in inside)][-1]

    def _order_of(self, end: str) -> int:
        if end in self.any_of:
            return -1
        return self.order[end] if end in self.order else self.order[self._last(end).id]


def _new_name(names: set[str], text: str) -> str:
    """Return a unique name made from `text` that needs no escapes."""
    name = one_line(text).translate(str.maketrans('\\"%', "/'_"))  # Graphviz reserves names that start with %
    return unique_name(name, names, " ")


_ARROWS = {EdgeKind.FIRED: "vee", EdgeKind.ERROR: "onormal"}
_CHANGED = {
    Change.ADDED: {"penwidth": "2.5"},
    Change.REMOVED: {"style": "rounded,filled,dashed"},
    Change.CHANGED: {"penwidth": "2.5"},
}
"""Attributes that mark changes without colour."""


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
    yield f"graph {_attribute_list(graph | font)}"
    node = {"shape": "box", "style": "rounded,filled", "height": "0.36", "margin": "0.12,0.04", "fontsize": "10"}
    yield f"node {_attribute_list(node | font)}"
    edge = {"color": theme.line, "fontcolor": theme.text, "fontsize": "9", "arrowsize": "0.7"}
    yield f"edge {_attribute_list(edge | font)}"


def _attribute_list(attributes: dict[str, str]) -> str:
    listed = " ".join(f"{name}={_quoted(value)}" for name, value in attributes.items())
    return f"[{listed}]" if listed else ""


class _Html(str):
    """An HTML-like label. It is quoted with angle brackets instead of quotation marks."""


def _label_with_notes(text: str, notes: tuple[str, ...]) -> _Html:
    small = (f'<br/><font point-size="8">{html.escape(one_line(note))}</font>' for note in notes)
    return _Html(html.escape(text) + "".join(small))


def _quoted(text: str) -> str:
    return f"<{text}>" if isinstance(text, _Html) else f'"{text}"'


_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "&": "&amp;"})


def _text(text: str) -> str:
    """Escape `text` so that Graphviz shows it unchanged."""
    return one_line(text).translate(_ESCAPES)
