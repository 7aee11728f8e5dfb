"""Texts of nodes and edges for the formats that are text: Mermaid and DOT."""

from __future__ import annotations

from fsm_engine.render.diagram import Edge, EdgeKind, Node
from fsm_engine.render.themes import CHANGE_SIGNS

_KINDS = {EdgeKind.ERROR: "error", EdgeKind.DISCOVERED: "seen"}


def one_line(text: str) -> str:
    """Return `text` on one line, with a replacement character for each character that cannot be printed."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(text.split()))


def node_text(node: Node) -> str:
    """Return the text of `node` on one line, with its change sign in front."""
    return " ".join(filter(None, [_sign(node), one_line(node.text)]))


def edge_text(edge: Edge) -> str:
    """Return the text of `edge` on one line, with its change sign, and "error" or "seen", in front."""
    return " ".join(filter(None, [_sign(edge), _KINDS.get(edge.kind), one_line(edge.text)]))


def _sign(part: Node | Edge) -> str:
    return "" if part.change is None else CHANGE_SIGNS[part.change]
