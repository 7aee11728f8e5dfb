"""The legend of a picture: the colours that it uses, in the colours of the drawing, below the drawing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from geometry import parts
from sample_diagrams import RICH

from fsm_engine import Engine, EventEnum, Events, Lifecycle, Scope
from fsm_engine.render import THEMES, draw_difference, render
from fsm_engine.render.formats import DIAGRAM_FORMATS
from fsm_engine.render.themes import get_theme

if TYPE_CHECKING:
    from chromium import Tab

pytest_plugins = ("chromium",)

SVG = "{http://www.w3.org/2000/svg}"
WIDER = "the wider an edge, the more often it was taken"


class Own(EventEnum):
    SKIP = "skip"
    SEEN = "seen"


def legend(svg: str) -> list[str]:
    return [part.texts[0][0] for part in parts(svg) if part.kind == "legend"]


def own_lifecycle() -> Lifecycle:
    lifecycle = Lifecycle.training(lambda engine, batch: None)
    with lifecycle.edit():
        lifecycle.add_phase(Own.SKIP, None, Scope.EPOCH)
        lifecycle.add_transition(Scope.ITERATION >> Own.SKIP, error=MemoryError, limit=1)
        lifecycle.add_transition(Own.SKIP >> Events.GET_BATCH_STARTED)
    return lifecycle


def recorded() -> tuple[Lifecycle, Any]:
    engine = Engine(lambda engine, batch: None)
    with engine.record() as timeline:
        engine.run([1, 2], max_epochs=1)
    return engine.lifecycle, timeline


def test_a_picture_with_the_usual_colours_has_no_legend() -> None:
    assert legend(render(Lifecycle.training(), "svg").decode()) == []
    assert legend(render(Lifecycle.training(), "svg", detail="main", direction="right").decode()) == []


def test_the_legend_explains_guards_own_phases_and_error_edges() -> None:
    own = ["main path", "phase of your own", "on a signal", "on an exception"]
    assert legend(render(own_lifecycle(), "svg").decode()) == own
    guard = "[guard]: taken if it is true"
    assert legend(render(own_lifecycle(), "svg", guards=True).decode()) == [*own, guard]
    assert legend(render(Lifecycle("small"), "svg", guards=True).decode())[-1] == guard


def test_the_legend_explains_the_current_phase_and_callback_events() -> None:
    engine = Engine(lambda engine, batch: engine.fire_event(Own.SEEN))
    engine.register_events(*Own)
    pictures = []
    draw = lambda: pictures.append(render(engine.lifecycle, "svg").decode())  # noqa: E731
    engine.add_event_handler(Events.EPOCH_COMPLETED, draw)
    with engine.discover():
        engine.run([1], max_epochs=1)
    texts = ["main path", "current phase", "callback event", "on a signal", "seen in a run"]
    assert legend(pictures[0]) == texts


def test_the_legend_of_a_difference_has_the_changes_that_it_shows(tmp_path: Path) -> None:
    changed = draw_difference(Lifecycle.training(), own_lifecycle(), tmp_path / "added.svg").read_text()
    assert [text for text in legend(changed) if text[0] in "+~\N{MINUS SIGN}"] == ["+ added"]
    back = draw_difference(own_lifecycle(), Lifecycle.training(), tmp_path / "removed.svg").read_text()
    assert [text for text in legend(back) if text[0] in "+~\N{MINUS SIGN}"] == ["\N{MINUS SIGN} removed"]


def test_the_legend_of_a_recorded_run_has_the_heat_colours() -> None:
    lifecycle, timeline = recorded()
    texts = legend(render(lifecycle, "svg", timeline=timeline).decode())
    assert texts[0].startswith("under 1%")
    assert texts[-2:] == ["not entered", WIDER]
    assert len(texts) == 7


@pytest.mark.parametrize("theme", THEMES)
def test_samples_have_the_colours_of_the_drawing(theme: str) -> None:
    """A sample without a part in the drawing that looks the same would explain nothing."""
    root = ElementTree.fromstring(DIAGRAM_FORMATS["svg"](RICH, get_theme(theme)))
    groups = [(group.get("class", "").split()[0], group) for group in root.iter(f"{SVG}g") if group.get("class")]
    drawn = {look for kind, group in groups if kind in ("node", "edge") for look in looks(group)}
    samples = {text_of(group): looks(group) for kind, group in groups if kind == "legend"}
    assert len(samples) >= 8
    assert {text: found for text, found in samples.items() if not set(found) <= drawn} == {}


def text_of(group: ElementTree.Element) -> str:
    return next(text.text or "" for text in group.iter(f"{SVG}text"))


def looks(group: ElementTree.Element) -> list[tuple[str | None, ...]]:
    shapes = [shape for shape in group if shape.tag in (f"{SVG}rect", f"{SVG}path")]
    return [tuple(shape.get(name) for name in ("fill", "stroke", "stroke-dasharray")) for shape in shapes]


@pytest.mark.parametrize(
    "options", [{}, {"guards": True}, {"detail": "main"}, {"title": "A long title, " * 9}], ids=str
)
def test_the_legend_is_below_the_drawing_and_inside_the_picture(options: dict[str, Any]) -> None:
    lifecycle, timeline = recorded()
    for more in ({}, {"timeline": timeline}):
        svg = render(lifecycle if more else own_lifecycle(), "svg", **options, **more).decode()
        width, height = map(int, re.findall(r'viewBox="0 0 (\d+) (\d+)"', svg)[0])
        found = parts(svg)
        entries = [part for part in found if part.kind == "legend"]
        bottom = max(part.outline.bottom for part in found if part.outline and part.kind != "legend")
        spots = [spot for part in entries for spot in ([part.outline] if part.outline else []) + [part.texts[0][1]]]
        assert all(spot.top >= bottom and spot.bottom <= height for spot in spots)
        assert all(spot.left >= 0 and spot.right <= width for spot in spots)
        assert not any(a is not b and a.overlaps(b) for a in spots for b in spots)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_legend_of_a_page_has_the_colours_of_its_picture(scheme: str, tab: Tab, tmp_path: Path) -> None:
    tab.emulate(scheme=scheme)
    tab.open(own_lifecycle().draw(tmp_path / "page.html"))
    style = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    for kind in ("main", "custom"):
        sample = f"#phase .sample.{kind}"
        box = tab.js(style, sample, "backgroundColor"), tab.js(style, sample, "borderTopColor")
        assert box == (tab.js(style, f".node.{kind} rect", "fill"), tab.js(style, f".node.{kind} rect", "stroke"))
    for kind in ("automatic:not(.main)", "signal", "error"):
        sample = f"#phase .sample.{kind.partition(':')[0]} path"
        assert tab.js(style, sample, "stroke") == tab.js(style, f".edge.{kind} path", "stroke")
    assert tab.texts("#phase .legend li")[:2] == ["on the main path", "phase of your own"]
