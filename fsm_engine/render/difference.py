"""Two lifecycles in one picture, with added, removed and changed parts marked."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from fsm_engine._util.atomic_files import write_atomically
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.render.diagram import Change, Diagram, Edge, Node
from fsm_engine.render.diagram_builder import DiagramOptions, build_diagram
from fsm_engine.render.formats import DIAGRAM_FORMATS, format_of
from fsm_engine.render.themes import get_theme

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
    """Draw two lifecycles in one picture, with guards, and return its path.

    The arguments are the same as in `Lifecycle.draw`. The suffix of `path` is .svg, .png, .pdf, .mmd or .dot.

    Raises:
        ValueError: an unknown direction or theme, or another suffix.
        ImportError: .png and .pdf need Typst; the message has the command that installs it.
        OSError: the file cannot be written.

    Example:
        >>> after = Lifecycle.training()
        >>> after.insert("VALIDATE", after=Events.EPOCH_COMPLETED)
        >>> draw_difference(Lifecycle.training(), after, folder / "difference.svg").name
        'difference.svg'
    """
    write = DIAGRAM_FORMATS[format_of(path, DIAGRAM_FORMATS)]
    options = DiagramOptions(title or "", direction, guards=True)
    both = compare_diagrams(build_diagram(before, options), build_diagram(after, options))
    return write_atomically(path, write(both, get_theme(theme)))


def compare_diagrams(before: Diagram, after: Diagram) -> Diagram:
    """Return the diagram `after` with the removed parts of `before`, and all differences marked.

    The main path is the one of `after`. Nodes are the same if their ids are equal. Edges are the same if they join the
    same ends and their tips are equal.
    """
    boxes = {box.id: box for box in (*after.boxes, *before.boxes)}
    edges, removed = _mark_changes(before.edges, after.edges, lambda edge: (edge.source, edge.target, edge.tip))
    nodes = _merge_nodes(before, after)
    return replace(after, nodes=nodes, boxes=tuple(boxes.values()), edges=(*edges, *removed))


def _merge_nodes(before: Diagram, after: Diagram) -> tuple[Node, ...]:
    """Return the nodes of `after`, with each removed node behind the last of those that it followed in `before`."""
    nodes, removed = _mark_changes(before.nodes, after.nodes, lambda node: node.id)
    order = [node.id for node in before.nodes]
    for node in removed:
        earlier = order[: order.index(node.id)]
        indices = [index for index, other in enumerate(nodes) if other.id in earlier]
        nodes.insert(max(indices, default=-1) + 1, node)
    return tuple(nodes)


def _mark_changes(
    old: Sequence[Part], new: Sequence[Part], key: Callable[[Part], Any]
) -> tuple[list[Part], list[Part]]:
    """Return the new parts, with their changes marked, and the old parts that were removed."""
    before, after = {key(part): part for part in old}, {key(part): part for part in new}
    marked = [replace(part, change=_change(before.get(key(part)), part)) for part in new]
    removed = [replace(part, change=Change.REMOVED, main=False) for part in old if key(part) not in after]
    return marked, removed


def _change(old: Part | None, new: Part) -> Change | None:
    """Return how `new` differs from `old`, apart from being on the main path."""
    if old is None:
        return Change.ADDED
    return None if replace(old, main=new.main) == new else Change.CHANGED
