"""Every text of an SVG picture is legible on what is drawn under it, in each colour scheme."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from contrast import contrasts, dark_rules
from sample_diagrams import RICH

from fsm_engine import Engine, Lifecycle
from fsm_engine.render import THEMES, render
from fsm_engine.render.formats import DIAGRAM_FORMATS
from fsm_engine.render.page import colour_variables, page_theme, read_asset
from fsm_engine.render.themes import get_theme
from fsm_engine.render.timeline import render_timeline

if TYPE_CHECKING:
    from chromium import Tab

pytest_plugins = ("chromium",)

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = [*ROOT.glob("diagrams/*.svg"), *ROOT.glob("benchmarks/results/*.svg")]
LIGHT, DARK = "#ffffff", "#0d1117"
BACKGROUND = f'class="background" width="100%" height="100%" fill="{DARK}"'


def faint(svg: str) -> set[tuple[str, str]]:
    """Return the texts with a contrast below 4.5, and their colours.

    Each document has a background of its own, so it is legible in both of its schemes on both kinds of pages.
    """
    found = [one for rules in ({}, dark_rules(svg)) for page in (LIGHT, DARK) for one in contrasts(svg, page, rules)]
    assert found
    return {(text, colour) for ratio, text, colour in found if ratio < 4.5}


@pytest.mark.parametrize("path", [p for p in COMMITTED if p.name != "packages.svg"], ids=lambda path: path.name)
def test_the_texts_of_committed_pictures_are_legible(path: Path) -> None:
    assert faint(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("theme", THEMES)
def test_the_texts_of_all_kinds_of_nodes_and_edges_are_legible(theme: str) -> None:
    assert faint(DIAGRAM_FORMATS["svg"](RICH, get_theme(theme)).decode()) == set()


@pytest.mark.parametrize("theme", THEMES)
def test_the_texts_of_a_recorded_run_are_legible(theme: str) -> None:
    engine = Engine(lambda engine, batch: sum(range(2000)))
    with engine.record() as timeline:
        engine.run([1, 2], max_epochs=2)
    heat = render(engine.lifecycle, "svg", theme=theme, timeline=timeline).decode()
    assert 'class="node phase unvisited"' in heat
    assert faint(heat) == set()
    assert faint(render_timeline(timeline, "svg", theme=theme).decode()) == set()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_texts_of_a_picture_inside_a_page_are_legible(scheme: str) -> None:
    page = {"light": "#f6f8fa", "dark": "#0d1117"}[scheme]
    assert "--page: light-dark(#f6f8fa, #0d1117);" in read_asset("page.css")
    svg = DIAGRAM_FORMATS["svg"](RICH, page_theme()).decode()
    for name, light, dark in re.findall(r"--([\w-]+): light-dark\((.*), (.*)\)", colour_variables(THEMES["auto"])):
        svg = svg.replace(f"var(--{name})", light if scheme == "light" else dark)
    assert {(text, colour) for ratio, text, colour in contrasts(svg, page) if ratio < 4.5} == set()


def test_the_theme_auto_is_the_light_theme_with_a_style_for_dark_pages() -> None:
    auto, light, dark, plain = (render(Lifecycle("small"), "svg", theme=theme).decode() for theme in THEMES)
    assert ["<style>" in svg for svg in (auto, light, dark, plain)] == [True, False, False, False]
    same = re.sub(r"<style>.*</style>\n", "", auto).replace(' class="fsm-engine-auto"', "")
    assert same == light
    for (light_colour, name), dark_colour in dark_rules(auto).items():
        same = same.replace(f'{name}="{light_colour}"', f'{name}="{dark_colour}"')
    assert same.replace('class="background" width="100%" height="100%" fill="#ffffff"', BACKGROUND) == dark


def test_faint_texts_are_found() -> None:
    text = '<text x="50" y="20" font-size="10" textLength="40" text-anchor="middle" fill="#ffffff">a</text>'
    document = '<svg xmlns="http://www.w3.org/2000/svg"><rect width="100%" height="100%" fill="#000000"/>{}</svg>'
    assert faint(document.format(text)) == set()
    assert faint(document.format(f'<g opacity="0.3">{text}</g>')) == {("a", "#ffffff")}
    plate = '<rect x="20" y="5" width="60" height="20" fill="#dddddd" {}/>'
    assert faint(document.format(plate.format("") + text)) == {("a", "#ffffff")}
    assert faint(document.format(plate.format('fill-opacity="0.1"') + text)) == set()


@pytest.mark.slow
@pytest.mark.parametrize(("system", "scheme"), [("light", "dark"), ("dark", "light")])
def test_an_image_follows_the_switch_of_its_page_and_not_the_system(
    system: str, scheme: str, tab: Tab, tmp_path: Path
) -> None:
    image = pytest.importorskip("PIL.Image")
    Lifecycle("small").draw(tmp_path / "small.svg")
    html = f'<body style="margin: 0; color-scheme: {scheme}"><img src="small.svg">'
    (tmp_path / "page.html").write_text(f"<!doctype html><html data-ready>{html}</html>", encoding="utf-8")
    tab.emulate(scheme=system)
    tab.open(tmp_path / "page.html")
    shot = image.open(BytesIO(tab.driver.get_screenshot_as_png())).convert("RGB")
    assert "#{:02x}{:02x}{:02x}".format(*shot.getpixel((2, 2))) == {"light": LIGHT, "dark": DARK}[scheme]
