"""The legend below a picture: the colours and lines that it uses, each drawn as in the picture, and their meaning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fsm_engine.render.diagram import Change, Diagram, Edge, EdgeKind, Mark, Node
from fsm_engine.render.picture import Label, LegendEntry, Picture, Rect
from fsm_engine.render.text_metrics import NOTE_SIZE, Text
from fsm_engine.render.themes import CHANGE_SIGNS, HEAT_THRESHOLDS

SAMPLE_WIDTH, SAMPLE_HEIGHT = 22.0, 14.0
ENTRY_GAP, ROW_HEIGHT, MARGIN = 14.0, 22.0, 8.0
LEAST_WIDTH = 440.0
"""Width in pixels that the legend may have although the picture is narrower."""

_HEAT = ("under 1%", "from 1%", "from 5%", "from 20%", "over 50% of the time")
_MARKS = {
    Mark.CURRENT: "current phase",
    Mark.CUSTOM: "phase of your own",
    Mark.CALLBACK: "callback event",
}
_EDGES = {
    EdgeKind.SIGNAL: "on a signal",
    EdgeKind.FIRED: "fired by the step",
    EdgeKind.ERROR: "on an exception",
    EdgeKind.DISCOVERED: "seen in a run",
}

Meaning = tuple[Node | Edge | None, str]


def with_legend(picture: Picture, diagram: Diagram, heat_only: bool = False) -> Picture:
    """Return `picture` with a legend below it, or unchanged if its colours need none.

    Args:
        picture: the picture.
        diagram: the diagram that it shows.
        heat_only: True to explain the colours of a recorded run only.
    """
    meanings = list(_heat(diagram) if _has_heat(diagram) else () if heat_only else _meanings(diagram))
    return _placed(picture, meanings) if meanings else picture


def _has_heat(diagram: Diagram) -> bool:
    return any(node.heat is not None for node in diagram.nodes)


def _heat(diagram: Diagram) -> Iterator[Meaning]:
    first, *others = _HEAT
    names = (f"ranks differ by {first}" if diagram.shows_ranks else first, *others)
    yield from ((Node("", "", heat=threshold), name) for threshold, name in zip(HEAT_THRESHOLDS, names))
    if any(node.unvisited for node in diagram.nodes):
        yield Node("", "", unvisited=True), "not entered"
    yield None, "the wider an edge, the more often it was taken"


def _meanings(diagram: Diagram) -> Iterator[Meaning]:
    """Yield the entries of a diagram of a lifecycle or of a difference; none if all colours are usual."""
    nodes, edges = list(_all_nodes(diagram)), list(_all_edges(diagram))
    marks = {mark for node in nodes if node.change is None for mark in node.marks}
    changes = {node.change for node in nodes} | {edge.change for edge in edges}
    kinds = {edge.kind for edge in edges if edge.change is None and not edge.main}
    has_guards = any(edge.text.startswith("[") or " [" in edge.text for edge in edges)
    if not (marks or changes - {None} or has_guards or kinds - {EdgeKind.AUTOMATIC, EdgeKind.SIGNAL}):
        return
    yield Node("", "", main=True), "main path"
    yield from ((Node("", "", marks=frozenset({mark})), text) for mark, text in _MARKS.items() if mark in marks)
    for change in (change for change in Change if change in changes):
        yield Node("", "", change=change), f"{CHANGE_SIGNS[change]} {change.value}"
    yield from ((Edge("", "", kind=kind), text) for kind, text in _EDGES.items() if kind in kinds)
    if has_guards:
        yield None, "[guard]: taken if it is true"


def _all_nodes(diagram: Diagram) -> Iterator[Node]:
    for node in diagram.nodes:
        yield node
        if node.inner is not None:
            yield from _all_nodes(node.inner)


def _all_edges(diagram: Diagram) -> Iterator[Edge]:
    yield from diagram.edges
    for node in diagram.nodes:
        if node.inner is not None:
            yield from _all_edges(node.inner)


def _placed(picture: Picture, meanings: Sequence[Meaning]) -> Picture:
    """Return the picture with the entries in as many centred rows as they need."""
    width = max(picture.width, LEAST_WIDTH)
    rows: list[list[tuple[Meaning, Text, float]]] = [[]]
    for meaning in meanings:
        text = Text((meaning[1],), NOTE_SIZE)
        needed = text.width + (0 if meaning[0] is None else SAMPLE_WIDTH + 6)
        if rows[-1] and _row_width(rows[-1]) + ENTRY_GAP + needed > width - 2 * MARGIN:
            rows.append([])
        rows[-1].append((meaning, text, needed))
    widest = max(picture.width, *(_row_width(row) + 2 * MARGIN for row in rows))
    entries: list[LegendEntry] = []
    for number, row in enumerate(rows):
        x, y = (widest - _row_width(row)) / 2, picture.height + 4 + (number + 0.5) * ROW_HEIGHT
        for (sample, _), text, needed in row:
            bounds = Rect(x + SAMPLE_WIDTH / 2, y, SAMPLE_WIDTH, SAMPLE_HEIGHT)
            label = Label(text, Rect(x + needed - text.width / 2, y, text.width, text.height))
            entries.append(LegendEntry(sample, bounds, label))
            x += needed + ENTRY_GAP
    moved = picture if widest == picture.width else picture.moved((widest - picture.width) / 2)
    height = picture.height + len(rows) * ROW_HEIGHT + MARGIN
    return replace(moved, width=widest, height=height, legend=tuple(entries))


def _row_width(row: Sequence[tuple[Meaning, Text, float]]) -> float:
    return sum(needed for *_, needed in row) + ENTRY_GAP * (len(row) - 1)
