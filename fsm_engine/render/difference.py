"""Two lifecycles in one picture: what the second has added, what it no longer has, and what has changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fsm_engine._util.atomic_files import write_whole
from fsm_engine.render.diagram import Change, Diagram, Edge, Node
from fsm_engine.render.diagram_builder import DiagramOptions, build_diagram
from fsm_engine.render.formats import PICTURES, format_of
from fsm_engine.render.themes import get_theme

if TYPE_CHECKING:
    from fsm_engine.lifecycle.lifecycle import Lifecycle

Part = TypeVar("Part", Node, Edge)


def draw_difference(
    before: Lifecycle,
    after: Lifecycle,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    direction: str = "down",
    theme: str = "auto",
) -> Path:
    """Draw two lifecycles in one picture, with guards, and return its path. The arguments are `Lifecycle.draw`'s.

    Raises:
        ValueError: an unknown direction or theme, or a suffix that is not that of a picture.
        ImportError: .png and .pdf need Typst; the message has the command that installs it.
        OSError: the file cannot be written.
    """
    draw = PICTURES[format_of(path, PICTURES)]
    options = DiagramOptions(title or "", direction, guards=True)
    return write_whole(
        path, draw(compare_diagrams(build_diagram(before, options), build_diagram(after, options)), get_theme(theme))
    )


def compare_diagrams(before: Diagram, after: Diagram) -> Diagram:
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
