"""Diagrams as DOT. Graphviz reads the text, lays it out, and shows all texts of the diagram."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_diagrams import HOSTILE, RICH, hostile_diagram

from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.render.diagram import Box, Diagram, Edge, EdgeKind, Node, NodeKind
from fsm_engine.render.diagram_builder import build_diagram
from fsm_engine.render.dot import to_dot
from fsm_engine.render.labels import edge_text, node_text, one_line
from fsm_engine.render.themes import THEMES

pygraphviz: Any = pytest.importorskip("pygraphviz")
SVG = "{http://www.w3.org/2000/svg}"


def test_a_small_diagram_as_dot():
    small = Diagram(
        nodes=(
            Node("initial", "", NodeKind.INITIAL, main=True),
            Node("E.A", "A", box="run", main=True),
            Node("E.B", "B"),
        ),
        boxes=(Box("run", "run"),),
        edges=(
            Edge("initial", "E.A", "run", EdgeKind.SIGNAL, main=True),
            Edge("run", "E.B", "interrupt", EdgeKind.SIGNAL),
            Edge("E.B", "E.A", "ValueError", EdgeKind.ERROR),
        ),
    )
    blue, grey, red = (
        'color="#0a5797"',
        'color="#8c959f" fontcolor="#1f2328" fillcolor="#eaeef2"',
        'color="#c03d10" style="dashed"',
    )
    start = 'shape="circle" label="" width="0.17" height="0.17"'
    assert to_dot(small).splitlines()[4:] == [
        f'  "initial" [{blue} fontcolor="#ffffff" fillcolor="#0b62a8" group="main" {start}]',
        f'  "E.B" [{grey} label="B"]',
        '  subgraph "cluster run" {',
        '    graph [color="#a0a8b1" penwidth="1" label="run"]',
        f'    "E.A" [{blue} fontcolor="#ffffff" fillcolor="#0b62a8" group="main" label="A"]',
        "  }",
        f'  "initial" -> "E.A" [label=" run " {blue} penwidth="2.5" weight="100"]',
        '  "E.A" -> "E.B" [label=" interrupt " style="dashed" ltail="cluster run"]',
        f'  "E.A" -> "E.B" [label=" error ValueError " {red} dir="back" arrowtail="onormal" weight="0"]',
        "}",
    ]


def drawn(text: str) -> ElementTree.Element:
    """Return the SVG that Graphviz draws from DOT."""
    graph = pygraphviz.AGraph(string=text)
    graph.layout("dot")
    return ElementTree.fromstring(graph.draw(format="svg"))


def texts(picture: ElementTree.Element, kind: str) -> list[str]:
    """Return the sorted texts of all groups of a kind: node, edge or cluster. Lines are joined."""
    groups = [group for group in picture.iter(f"{SVG}g") if group.get("class") == kind]
    shown = ["".join(text.text or "" for text in group.iter(f"{SVG}text")) for group in groups]
    return sorted(" ".join(text.split()) for text in shown if text.strip())


def parts(picture: Diagram) -> Iterator[Diagram]:
    """Yield a diagram and the diagrams inside its nodes."""
    yield picture
    for node in picture.nodes:
        if node.inner is not None:
            yield from parts(node.inner)


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_graphviz_shows_all_texts_of_a_diagram(theme, capfd):
    picture = drawn(to_dot(RICH, theme))
    whole = list(parts(RICH))
    plain = [node for part in whole for node in part.nodes if node.inner is None and node.kind is not NodeKind.INITIAL]
    expected = [" ".join([node_text(node), *node.notes]) for node in plain if node.kind is not NodeKind.FINAL]
    squeezed = [re.sub(" ", "", text) for text in texts(picture, "node")]
    assert squeezed == sorted(re.sub(" ", "", text) for text in [*expected, "any phase of epoch"])
    edges = [edge_text(edge) for part in whole for edge in part.edges]
    assert texts(picture, "edge") == sorted(filter(None, edges))
    assert texts(picture, "cluster") == sorted(["engine", "run", "epoch", "ROLLOUT, rollout", "run"])
    assert "Warning: gvrender" not in capfd.readouterr().err


def test_graphviz_draws_the_main_path_straight_down():
    picture = build_diagram(Lifecycle.training())
    graph = pygraphviz.AGraph(string=to_dot(picture))
    graph.layout("dot")
    places = [tuple(map(float, graph.get_node(node.id).attr["pos"].split(","))) for node in picture.main]
    assert max(x for x, _ in places) - min(x for x, _ in places) <= 2
    assert [y for _, y in places] == sorted((y for _, y in places), reverse=True)


def test_an_edge_back_is_written_from_target_to_source():
    loop = (Edge("A", "B", main=True), Edge("B", "A", kind=EdgeKind.FIRED), Edge("B", "B"))
    lines = to_dot(Diagram((Node("A", "A", main=True), Node("B", "B", main=True)), (), loop)).splitlines()
    assert lines[-4:-1] == [
        '  "A" -> "B" [color="#0a5797" penwidth="2.5" weight="100"]',
        '  "A" -> "B" [color="#946000" dir="back" arrowtail="vee" weight="0"]',
        '  "B" -> "B"',
    ]


def test_edges_of_a_scope_with_an_inner_target_start_at_an_any_of_node():
    nodes = (Node("A", "A", box="run"), Node("B", "B", box="run"), Node("C", "C"))
    picture = Diagram(nodes, (Box("run", "run"),), (Edge("run", "B", "x"), Edge("run", "C", "y")))
    edges = [line.strip() for line in to_dot(picture).splitlines() if "->" in line]
    assert edges == [
        '"any phase of run" -> "B" [label=" x " style="dashed"]',
        '"any phase of run" -> "C" [label=" y " style="dashed"]',
    ]


def labels(text: str) -> Counter[str]:
    """Return the labels of nodes that Graphviz reads, without escapes."""
    graph = pygraphviz.AGraph(string=text)
    found: Counter[str] = Counter()
    for node in graph.nodes():
        label, *notes = str(node.attr["label"]).split('<br/><font point-size="8">')
        found[html.unescape(label if notes else re.sub(r"\\(.)", r"\1", label))] += 1
    return found


LETTERS = st.sampled_from([*"\\\"<>&;#'{}[]|:-+~ \n", "a", "\u00e9", "\x00", "\u2028", "&lt;", "<br/>", "\\N"])
TEXTS = st.lists(LETTERS, min_size=1, max_size=8).map("".join) | st.sampled_from(HOSTILE)


@given(st.lists(TEXTS, min_size=1, max_size=5, unique=True))
def test_graphviz_reads_any_names(names):
    picture = hostile_diagram(tuple(names))
    graph = pygraphviz.AGraph(string=to_dot(picture))
    assert (len(graph.nodes()), len(graph.edges())) == (len(picture.nodes), len(picture.edges))
    assert labels(to_dot(picture)) == Counter(node_text(node) for node in picture.nodes)


def test_graphviz_shows_hostile_names_unchanged():
    picture = drawn(to_dot(hostile_diagram()))
    shown = [re.sub(r"\s", "", text) for text in texts(picture, "edge")]
    assert sorted(shown) == sorted(re.sub(r"\s", "", one_line(text)) for text in HOSTILE if one_line(text))
    assert {element.tag for element in picture.iter()} <= {
        SVG + name for name in ["svg", "g", "a", "title", "text", "path", "polygon", "polyline", "ellipse"]
    }
