"""Diagrams of the difference between two lifecycles."""

from __future__ import annotations

from dataclasses import replace

from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.render.diagram import Box, Change, Diagram, Edge, EdgeKind, Node
from fsm_engine.render.diagram_builder import DiagramOptions, build_diagram
from fsm_engine.render.difference import compare_diagrams

A, B, C, D = (Node(name, name, box="run") for name in "ABCD")
RUN, EPOCH = Box("run", "run"), Box("run.epoch", "epoch", "run")


def drawn(nodes: list[Node], edges: list[Edge], boxes: tuple[Box, ...] = (RUN,)) -> Diagram:
    return Diagram(tuple(nodes), boxes, tuple(edges))


def test_equal_diagrams_have_no_changes():
    whole = build_diagram(Lifecycle.training(), DiagramOptions(guards=True))
    assert compare_diagrams(whole, whole) == whole


def test_added_and_removed_parts_are_marked_in_the_old_order():
    before = drawn([A, B, D], [Edge("A", "B", main=True), Edge("B", "D", main=True)])
    after = drawn([A, C, D], [Edge("A", "C", main=True), Edge("C", "D", main=True)])
    assert compare_diagrams(before, after) == drawn(
        [A, replace(B, change=Change.REMOVED), replace(C, change=Change.ADDED), D],
        [
            Edge("A", "C", main=True, change=Change.ADDED),
            Edge("C", "D", main=True, change=Change.ADDED),
            Edge("A", "B", change=Change.REMOVED),
            Edge("B", "D", change=Change.REMOVED),
        ],
    )


def test_a_part_with_another_text_or_box_is_changed():
    inside = replace(B, box="run.epoch")
    before = drawn([A, B], [Edge("A", "B", "[ready]", tip="A --go--> B"), Edge("A", "B", tip="A --b--> B")])
    after = drawn(
        [A, inside],
        [Edge("A", "B", "[done]", tip="A --go--> B"), Edge("A", "B", kind=EdgeKind.FIRED, tip="A --c--> B")],
        (RUN, EPOCH),
    )
    assert compare_diagrams(before, after) == drawn(
        [A, replace(inside, change=Change.CHANGED)],
        [
            Edge("A", "B", "[done]", change=Change.CHANGED, tip="A --go--> B"),
            Edge("A", "B", kind=EdgeKind.FIRED, change=Change.ADDED, tip="A --c--> B"),
            Edge("A", "B", change=Change.REMOVED, tip="A --b--> B"),
        ],
        (RUN, EPOCH),
    )


def test_being_on_the_main_path_is_not_compared():
    before, after = drawn([A, B], [Edge("A", "B", main=True)]), drawn([A, B], [Edge("A", "B")])
    assert compare_diagrams(before, after) == after
    assert compare_diagrams(after, before) == before
