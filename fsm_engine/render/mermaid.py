"""Diagrams as a Mermaid ``stateDiagram-v2``, which GitHub draws in Markdown.

Mermaid computes the layout and draws the first edges straightest, so the main path is written first and edges of scopes
last. State diagrams of Mermaid lack some notation, which is replaced as follows. An edge from a scope starts at a state
*any of* the scope, because an arrow from the border would start inside, under other arrows. History is a state ``H*``.
Edges have no colours, so their labels name the kind.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from fsm_engine._util.unique_names import unique_name
from fsm_engine.render.diagram import Box, Diagram, Edge, Mark, Node, NodeKind
from fsm_engine.render.labels import edge_text, node_text, one_line
from fsm_engine.render.themes import THEMES, Paint, Theme, node_role

_POINTS = (NodeKind.INITIAL, NodeKind.FINAL)
_INDENT = "    "


def to_mermaid(diagram: Diagram, theme: Theme = THEMES["auto"]) -> str:
    """Return `diagram` as Mermaid text.

    A theme without a background sets the colours of states only, and leaves the others to the page.
    """
    ids = _Ids()
    chart = _Chart(diagram, ids)
    body = [_direction(diagram), *chart.states(), *chart.edges_of_points(None), *chart.edges(), *_classes(ids, theme)]
    return "\n".join([*_front_matter(diagram.title, theme), "stateDiagram-v2", *_indented(body)]) + "\n"


class _Ids:
    """Gives ids to states, and collects the states of each class."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.classes: dict[str, list[str]] = defaultdict(list)

    def new(self, kind: str, text: str) -> str:
        """Return a unique id: `text` if that is legal for a phase, else `kind` with the letters of `text`."""
        if re.fullmatch("[A-Z][A-Z0-9_]*", text) and text not in _RESERVED and kind == NodeKind.PHASE.value:
            name = text
        else:
            word = re.sub("[^A-Za-z0-9]+", "_", text).strip("_")
            name = f"{kind}_{word}" if word and not re.search(_READ_ANYWHERE, word) else kind
        return unique_name(name, self.used, "_")


class _Chart:
    """Writes one diagram: the outermost one, or one inside a node.

    Edges are written after all states, because Mermaid moves a state into the composite state of its first edge.

    Attributes:
        inner: the diagrams inside nodes; `states` adds them.
    """

    def __init__(self, diagram: Diagram, ids: _Ids) -> None:
        self.diagram, self.ids = diagram, ids
        self.inner: list[_Chart] = []
        texts = {box.id: box.text for box in diagram.boxes}
        self.names = {box: ids.new("scope", text) for box, text in texts.items()}
        for node in diagram.nodes:
            text = texts.get(node.box or "", "") if node.kind is NodeKind.HISTORY else node.text
            self.names[node.id] = "[*]" if node.kind in _POINTS else ids.new(node.kind.value, text)
        sources = {edge.source for edge in diagram.edges}
        self.any_of = {box: ids.new("any_of", text) for box, text in texts.items() if box in sources}

    def states(self, box: Box | None = None) -> Iterator[str]:
        """Yield the states in `box`, or those outside all boxes for None."""
        at = None if box is None else box.id
        for node in self.diagram.nodes:
            if node.box == at and node.kind not in _POINTS:
                yield from self._state(node)
        for inner in self.diagram.boxes_in(at):
            inside = [*self.edges_of_points(inner.id), *self.states(inner)]
            yield from _composite(one_line(inner.text), self.names[inner.id], inside)
        if box is not None and at in self.any_of:
            self.ids.classes["any"].append(self.any_of[box.id])
            yield _declared(f"any phase of {one_line(box.text)}", self.any_of[box.id])

    def _state(self, node: Node) -> Iterator[str]:
        name, notes = self.names[node.id], [one_line(note) for note in node.notes]
        if Mark.CURRENT in node.marks:
            self.ids.classes["current"].append(name)
        if node.inner is not None:
            part = _Chart(node.inner, self.ids)
            self.inner.append(part)
            titles = [node_text(node), *filter(None, [one_line(node.inner.title)]), *notes]
            inside = [_direction(node.inner), *part.edges_of_points(None), *part.states()]
            yield from _composite(", ".join(titles), name, inside)
            return
        text = node_text(node)
        yield name if text == name and not notes else _declared(text, name)
        yield from (f"{name} : {_escaped(note)}" for note in notes)
        self.ids.classes[node_role(node)].append(name)

    def edges_of_points(self, box: str | None) -> Iterator[str]:
        """Yield the edges of the initial and final points in `box`. Mermaid resolves ``[*]`` by where it is written."""
        return (self._edge(edge) for edge in self.diagram.edges if self._boxes_of_points(edge)[:1] == [box])

    def edges(self) -> Iterator[str]:
        """Yield all other edges, and the edges of inner diagrams."""
        plain = [edge for edge in self.diagram.edges if not self._boxes_of_points(edge)]
        yield from map(self._edge, sorted(plain, key=lambda edge: edge.source in self.any_of))
        for part in self.inner:
            yield from part.edges()

    def _boxes_of_points(self, edge: Edge) -> list[str | None]:
        """Return the boxes of those ends of `edge` that are initial or final points."""
        nodes = (self.diagram.names.get(end) for end in (edge.source, edge.target))
        return [node.box for node in nodes if node is not None and node.kind in _POINTS]

    def _edge(self, edge: Edge) -> str:
        source = self.any_of.get(edge.source) or self.names[edge.source]
        text = _escaped(edge_text(edge))
        return f"{source} --> {self.names[edge.target]}" + (f" : {text}" if text else "")


def _direction(diagram: Diagram) -> str:
    """Return the line with the direction of the main path."""
    return f"direction {'LR' if diagram.to_the_right else 'TB'}"


def _composite(text: str, name: str, inside: Iterable[str]) -> Iterator[str]:
    yield f"{_declared(text, name)} {{"
    yield from _indented(inside)
    yield "}"


def _declared(text: str, name: str) -> str:
    return f'state "{_escaped(text) or "#160;"}" as {name}'


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (_INDENT + line for line in lines)


_RESERVED = {"CLASS", "CLASSDEF", "CLICK", "DEFAULT", "DIRECTION", "END", "HREF", "NOTE", "SCALE", "STATE", "STYLE"}
_READ_ANYWHERE = "style|classDef"
"""Words that Mermaid searches for anywhere in a line."""

_SPECIAL = re.compile(
    r"[^\w ,/=+>()\[\]?.-]"
    r"|(?<![^\W_])[_.-]|[_.-](?![^\W_])"  # legal inside words and numbers
    r"|^[^\w\[(]|(?<=\d)\)|(?<=\])\(|(?<=\[)\[|(?<=(?i:www))\."  # labels are Markdown, with lists and links
    r"|(?<=styl)e|(?<=classDe)f|(?<=(?i:directio))(?i:n)"
)


_ENTITY_LETTERS = str.maketrans({"\N{LATIN SMALL LIGATURE FL}": "fl", "\N{PILCROW SIGN}": "P"})
"""Replacements of letters that Mermaid uses internally to encode entities, and decodes everywhere."""


def _escaped(text: str) -> str:
    """Escape `text` so that Mermaid shows it unchanged, except for the letters in `_ENTITY_LETTERS`."""
    return _SPECIAL.sub(lambda match: f"#{ord(match.group())};", text.translate(_ENTITY_LETTERS))


def _classes(ids: _Ids, theme: Theme) -> Iterator[str]:
    styles = {name: _class_style(getattr(theme, name)) for name in ids.classes if name not in ("any", "current")}
    styles["any"] = f"fill:transparent,stroke:{theme.box},stroke-dasharray:4 3"
    styles["current"] = f"stroke:{theme.current},stroke-width:4px"
    styles = {name: styles[name] + _EXTRAS.get(name, "") for name in ids.classes}
    yield from (f"classDef {name} {style}" for name, style in styles.items())
    yield from (f"class {','.join(states)} {name}" for name, states in ids.classes.items())


_EXTRAS = {
    "custom": ",stroke-width:2px",
    "callback": ",stroke-dasharray:2 3",
    "added": ",stroke-width:3px",
    "removed": ",stroke-dasharray:6 3",
    "changed": ",stroke-width:3px",
}
"""Styles that mark roles without colour."""


def _class_style(paint: Paint) -> str:
    if paint.fill is None:
        return f"fill:transparent,stroke:{paint.border}"
    return f"fill:{paint.fill},stroke:{paint.border},color:{paint.text}"


def _front_matter(title: str, theme: Theme) -> Iterator[str]:
    lines = [f"title: {_quoted(title)}"] if one_line(title) else []
    if theme.background is not None:
        lines += ["config:", "  theme: base", "  themeVariables:"]
        lines += [f'    {name}: "{colour}"' for name, colour in _variables(theme).items()]
    if lines:
        yield from ["---", *lines, "---"]


_LOOKALIKES = str.maketrans("<>&", "\u2039\u203a\uff06")


def _quoted(title: str) -> str:
    """Quote `title` for YAML, with lookalikes for ``<``, ``>`` and ``&``, which Mermaid cannot show in a title."""
    return json.dumps(one_line(title).translate(_LOOKALIKES)).replace("%", "\\u0025")


def _variables(theme: Theme) -> dict[str, str | None]:
    backgrounds = (
        "background",
        "compositeBackground",
        "compositeTitleBackground",
        "altBackground",
        "edgeLabelBackground",
    )
    return {
        **dict.fromkeys(backgrounds, theme.background),
        **dict.fromkeys(("textColor", "titleColor", "transitionLabelColor"), theme.text),
        **dict.fromkeys(("lineColor", "transitionColor"), theme.line),
        "compositeBorder": theme.box,
        "primaryColor": theme.phase.fill,
        "primaryTextColor": theme.phase.text,
        "primaryBorderColor": theme.phase.border,
        "specialStateColor": theme.main.border,
    }
