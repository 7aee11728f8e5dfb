"""What is written at the parts of a diagram, for formats that are text."""

from __future__ import annotations

from fsm_engine.render.diagram import Edge, EdgeKind, Node
from fsm_engine.render.themes import CHANGE_SIGNS

_KINDS = {EdgeKind.ERROR: "error", EdgeKind.DISCOVERED: "seen"}


def one_line(text: str) -> str:
    """Return `text` without line breaks, and with a mark for what cannot be shown, such as control characters."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(text.split()))


def node_text(node: Node) -> str:
    """Return what is written in `node`, after the sign of how it differs."""
    return " ".join(filter(None, [_sign(node), one_line(node.text)]))


def edge_text(edge: Edge) -> str:
    """Return what is written at `edge`: the sign of how it differs, what it is if that is not usual, and its text."""
    return " ".join(filter(None, [_sign(edge), _KINDS.get(edge.kind), one_line(edge.text)]))


def _sign(part: Node | Edge) -> str:
    return "" if part.change is None else CHANGE_SIGNS[part.change]
