"""Two diagrams in one: what the second has added, what it no longer has, and what has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from fsm_engine.render.diagram import Change, Diagram, Edge, Node

Part = TypeVar("Part", Node, Edge)


def compared(before: Diagram, after: Diagram) -> Diagram:
    """Return the diagram `after` with what only `before` has put in its place, and all that differs marked.

    The main path is that of `after`. Edges are the same if they join the same ends under the same label.
    """
    boxes = {box.id: box for box in (*after.boxes, *before.boxes)}
    edges, removed = _marked(before.edges, after.edges, lambda edge: (edge.source, edge.target, edge.tip))
    return replace(after, nodes=_nodes(before, after), boxes=tuple(boxes.values()), edges=(*edges, *removed))


def _nodes(before: Diagram, after: Diagram) -> tuple[Node, ...]:
    nodes, removed = _marked(before.nodes, after.nodes, lambda node: node.id)
    order = [node.id for node in before.nodes]
    for node in removed:
        place = order.index(node.id)
        ahead = [number for number, other in enumerate(nodes) if other.id in order[:place]]
        nodes.insert(max(ahead, default=-1) + 1, node)
    return tuple(nodes)


def _marked(old: Sequence[Part], new: Sequence[Part], key: Callable[[Part], Any]) -> tuple[list[Part], list[Part]]:
    """Return the new parts, marked if they differ, and those of the old ones that are gone."""
    before, after = {key(part): part for part in old}, {key(part): part for part in new}
    marked = [replace(part, change=_change(before.get(key(part)), part)) for part in new]
    gone = [replace(part, change=Change.REMOVED, main=False) for part in old if key(part) not in after]
    return marked, gone


def _change(one: Part | None, other: Part) -> Change | None:
    if one is None:
        return Change.ADDED
    return None if replace(one, main=other.main) == other else Change.CHANGED
