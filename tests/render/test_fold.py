"""Pictures that are very wide or very tall: they are folded into strips, and show the same as before."""

from __future__ import annotations

import re
from itertools import pairwise
from math import dist
from typing import Any
from xml.etree import ElementTree

import pytest
from geometry import SVG, Rect, faults, parts

from fsm_engine import Engine, EventEnum, Events, Lifecycle
from fsm_engine.render import THEMES, render
from fsm_engine.render.diagram_builder import DiagramOptions, build_diagram
from fsm_engine.render.fold import MAX_HEIGHT, MAX_WIDTH, SLIDE, folded
from fsm_engine.render.layout import lay_out
from fsm_engine.render.svg import to_svg

MANY = EventEnum("Many", {f"PHASE_{number}": f"phase {number}" for number in range(24)})  # type: ignore[call-overload]


def act(engine: Engine) -> None:
    pass


def chain(count: int, loops: int = 0) -> Lifecycle:
    """Return a lifecycle of `count` phases in a row, with loops back over four phases."""
    lifecycle = Lifecycle("chain")
    events = list(MANY)[:count]
    with lifecycle.edit():
        for event in events:
            lifecycle.add_phase(event, act)
        path = Events.STARTED >> events[0]
        for event in events[1:]:
            path = path >> event
        lifecycle.add_path(path >> Events.COMPLETED)
        for number in range(loops):
            lifecycle.add_transition(events[4 * number + 4] >> events[4 * number], guard=act)
    return lifecycle


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "right": (Lifecycle.training, {"direction": "right"}),
    "right, guards": (Lifecycle.training, {"direction": "right", "guards": True, "title": "A title"}),
    "main, right": (Lifecycle.training, {"direction": "right", "detail": "main"}),
    "tall": (lambda: chain(24, 5), {"title": "A tall one"}),
    "tall, guards": (lambda: chain(24, 5), {"guards": True, "detail": "main"}),
    "wide": (lambda: chain(24, 5), {"direction": "right"}),
}


def size(svg: str) -> tuple[int, int]:
    width, height = map(int, re.findall(r'<svg [^>]*? width="(\d+)" height="(\d+)"', svg)[0])
    return width, height


def strips(svg: str) -> list[ElementTree.Element]:
    return [one for one in ElementTree.fromstring(svg).iter(f"{SVG}svg") if one.get("class") == "strip"]


def views(svg: str) -> list[Rect]:
    boxes = [list(map(float, strip.get("viewBox", "").split())) for strip in strips(svg)]
    return [Rect(left, top, left + width, top + height) for left, top, width, height in boxes]


@pytest.mark.parametrize("name", CASES)
def test_a_wide_or_tall_picture_is_folded_and_larger_on_a_slide(name: str) -> None:
    make, options = CASES[name]
    diagram = build_diagram(make(), DiagramOptions(**options))
    before = lay_out(diagram)
    after = folded(before)
    assert before.width > MAX_WIDTH * before.height or before.height > MAX_HEIGHT * before.width
    assert 2 <= len(after.strips) <= 4
    scales = [min(SLIDE[0] / one.width, SLIDE[1] / one.height) for one in (before, after)]
    assert scales[1] > 1.1 * scales[0]
    assert max(after.width / after.height, after.height / after.width) < MAX_WIDTH


@pytest.mark.parametrize("name", CASES)
def test_strips_show_every_part_once_and_uncut(name: str) -> None:
    make, options = CASES[name]
    svg = render(make(), "svg", **options).decode()
    plain = to_svg(lay_out(build_diagram(make(), DiagramOptions(**options))), THEMES["auto"])
    assert faults(svg) == []
    shown = [part for part in parts(svg) if part.kind != "legend"]
    assert sorted(map(str, shown)) == sorted(map(str, parts(plain)))
    seen = views(svg)
    for part in shown:
        if part.kind == "node":
            assert part.outline is not None
            assert sum(view.contains(part.outline) for view in seen) == 1, part.name
        for text, bounds in part.texts:
            assert sum(view.overlaps(bounds) for view in seen) == 1, text


@pytest.mark.parametrize("name", CASES)
def test_lines_between_strips_have_the_same_letter_at_both_ends(name: str) -> None:
    make, options = CASES[name]
    svg = render(make(), "svg", **options).decode()
    root, found = ElementTree.fromstring(svg), []
    width, height = size(svg)
    for group in root.iter(f"{SVG}g"):
        if group.get("class") == "connector":
            circle, text = next(group.iter(f"{SVG}circle")), next(group.iter(f"{SVG}text"))
            x, y, radius = (float(circle.get(at, "0")) for at in ("cx", "cy", "r"))
            assert radius <= x <= width - radius
            assert radius <= y <= height - radius
            found.append((text.text, x, y))
    letters = [letter for letter, *_ in found]
    assert all(letters.count(letter) == 2 for letter in letters)
    places = [place for _, *place in found]
    assert all(one is other or dist(one, other) >= 11 for one in places for other in places)
    lines = [line for part in parts(svg) for line in part.lines if part.kind == "edge"]
    assert len(letters) == 2 * sum(crossings(lines, view, other) for view, other in pairwise(views(svg)))


def crossings(lines: list[Rect], view: Rect, following: Rect) -> int:
    """Return the number of places at which lines run from one strip into the following one."""
    if view.left == following.left:
        places = [line.left for line in lines if line.top < view.bottom < line.bottom]
    else:
        places = [line.top for line in lines if line.left < view.right < line.right]
    ordered = sorted(places)
    assert ordered, "a cut without lines separates two pictures"
    return 1 + sum(other - one > 4 for one, other in pairwise(ordered))


def test_a_picture_of_many_phases_has_as_many_strips_as_make_it_largest() -> None:
    phases = EventEnum("Phases", {f"PHASE_{number}": f"{number}" for number in range(100)})  # type: ignore[call-overload]
    lifecycle = Lifecycle("long")
    with lifecycle.edit():
        path: Any = Events.STARTED
        for event in phases:
            lifecycle.add_phase(event, act)
            path = path >> event
        lifecycle.add_path(path >> Events.COMPLETED)
    svg = render(lifecycle, "svg").decode()
    width, height = size(svg)
    assert len(strips(svg)) > 4
    assert 0.5 < width / height < MAX_WIDTH


def test_other_pictures_are_not_folded() -> None:
    for lifecycle, options in (
        (Lifecycle.training(), {}),
        (Lifecycle.training(), {"guards": True}),
        (Lifecycle.training(), {"detail": "main"}),  # tall, but it fits a slide
        (chain(3), {"direction": "right"}),
    ):
        assert strips(render(lifecycle, "svg", **options).decode()) == []


def test_a_page_is_not_folded_because_it_zooms() -> None:
    text = render(Lifecycle.training(), "html", direction="right").decode()
    assert 'class="strip"' not in text


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_a_folded_picture_is_converted(suffix: str) -> None:
    pytest.importorskip("typst")
    assert len(render(Lifecycle.training(), suffix, direction="right", detail="main")) > 5000
