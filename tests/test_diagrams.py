"""The pictures on disk show the lifecycle as it is."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from fsm_engine.graph import IDLE, Scope
from fsm_engine.lifecycle import Lifecycle

DIAGRAMS = Path(__file__).resolve().parent.parent / "diagrams"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def make() -> dict[str, Any]:
    return runpy.run_path(str(DIAGRAMS / "make.py"))


def on_disk() -> str:
    return (DIAGRAMS / "lifecycle.svg").read_text(encoding="utf-8")


def texts(svg: str, kind: str) -> list[str]:
    """Return the texts of each node or edge, those of one of them joined."""
    groups = [group for group in ElementTree.fromstring(svg).iter(f"{SVG}g") if group.get("class") == kind]
    return sorted("".join(text.text or "" for text in group.iter(f"{SVG}text")) for group in groups)


def titles(svg: str, kind: str) -> list[str]:
    groups = [group for group in ElementTree.fromstring(svg).iter(f"{SVG}g") if group.get("class") == kind]
    return sorted(group.findtext(f"{SVG}title", "") for group in groups)


def test_the_mermaid_text_is_what_would_be_written_today(make):
    written = (DIAGRAMS / "lifecycle.mmd").read_text(encoding="utf-8")
    assert written == make["mermaid"](make["Chart"]()), "run python diagrams/make.py"


def test_the_main_path_leads_from_idle_to_idle_and_meets_nothing_twice(make):
    chart = make["Chart"]()
    assert set(chart.main) <= set(Lifecycle.training().transitions)
    assert (chart.column[0], chart.column[-1]) == ("initial", "final")
    assert len(set(chart.column)) == len(chart.column)


def test_the_svg_shows_every_phase_by_its_name():
    shown = texts(on_disk(), "node")
    for phase in Lifecycle.training().phases:
        assert any(text.startswith(phase.name) for text in shown), phase


def test_the_svg_shows_every_scope():
    scopes = {str(scope) for scope in (Scope.ENGINE, Scope.RUN, Scope.EPOCH, Scope.ITERATION)}
    assert set(texts(on_disk(), "cluster")) == scopes


def test_the_svg_shows_every_transition_once(make):
    expected = []
    for edge in Lifecycle.training().transitions:
        source = f"any of {edge.source}" if isinstance(edge.source, Scope) else make["source"](edge)
        expected.append(f"{source}->{make['target'](edge)}")
    assert titles(on_disk(), "edge") == sorted(expected)


def test_idle_is_drawn_as_the_start_and_the_end():
    assert texts(on_disk(), "node").count(IDLE) == 2


def test_the_svg_has_the_labels_that_would_be_drawn_today(make):
    pytest.importorskip("pygraphviz")
    drawn = make["Drawing"](make["Chart"]()).svg()
    for kind in ("node", "edge", "cluster"):
        assert texts(on_disk(), kind) == texts(drawn, kind), "run python diagrams/make.py"
        assert titles(on_disk(), kind) == titles(drawn, kind), "run python diagrams/make.py"
