"""Colours: they can be read on their page, and told apart by eyes that see two colours instead of three."""

from __future__ import annotations

import re
from dataclasses import astuple, fields
from itertools import combinations, pairwise

import pytest
from contrast import RGB, contrast, linear, luminance

from fsm_engine.render.diagram import Change, Edge, EdgeKind, Mark, Node, NodeKind
from fsm_engine.render.themes import CHANGE_SIGNS, THEMES, Paint, Theme, dark_colours, get_theme, node_role

PAGES = {"auto": ("#ffffff", "#0d1117"), "light": ("#ffffff",), "dark": ("#0d1117",), "print": ("#ffffff",)}
PAINTS = ("phase", "main", "custom", "added", "removed", "changed", "unvisited")
LINES = ("text", "line", "current", "fired", "error", "discovered")

# Machado, Oliveira and Fernandes (2009): matrices that simulate colour blindness in linear RGB.
COLOUR_BLINDNESS = {
    "protanopia": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "deuteranopia": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "tritanopia": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
}


def lab(colour: RGB) -> RGB:
    """Convert linear RGB to OKLab, in which distances are perceptually uniform."""
    rows = ((0.41222, 0.53633, 0.05145), (0.21190, 0.68070, 0.10740), (0.08830, 0.28172, 0.62998))
    long, medium, short = (max(sum(a * b for a, b in zip(row, colour)), 0.0) ** (1 / 3) for row in rows)
    return (
        0.21045 * long + 0.79362 * medium - 0.00407 * short,
        1.97800 * long - 2.42859 * medium + 0.45060 * short,
        0.02590 * long + 0.78277 * medium - 0.80868 * short,
    )


def apart(one: str, other: str, sight: str) -> float:
    rows = COLOUR_BLINDNESS[sight]
    seen = [lab(tuple(sum(a * b for a, b in zip(row, linear(colour))) for row in rows)) for colour in (one, other)]  # type: ignore[arg-type]
    return sum((a - b) ** 2 for a, b in zip(*seen)) ** 0.5


def paints(theme: Theme) -> dict[str, Paint]:
    return {name: getattr(theme, name) for name in PAINTS}


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_every_colour_has_six_hex_digits(theme):
    values = [getattr(theme, field.name) for field in fields(theme) if field.name not in ("name", "heat", "font")]
    values += theme.heat
    colours = [c for v in values for c in ((v.fill, v.text, v.border) if isinstance(v, Paint) else (v,))]
    assert [c for c in colours if c is not None and not re.fullmatch("#[0-9a-f]{6}", c)] == []
    assert (theme.background is None) == (theme.name == "auto")


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_names_are_legible_in_their_nodes(theme):
    assert {name: p for name, p in paints(theme).items() if contrast(p.fill, p.text) < 4.5} == {}


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_labels_and_lines_have_contrast_on_every_page(theme):
    grey = 4.2 if theme.name == "auto" else 4.5  # of Mermaid; no grey exceeds 4.4 on both pages
    wanted = {name: grey if name == "text" else 3.0 for name in LINES}
    faint = {
        name: page
        for page in PAGES[theme.name]
        for name in LINES
        if contrast(getattr(theme, name), page) < wanted[name]
    }
    assert faint == {}


@pytest.mark.parametrize("sight", COLOUR_BLINDNESS)
@pytest.mark.parametrize("name", ["auto", "light", "dark"])
def test_kinds_of_nodes_differ_for_colour_blind_readers(name, sight):
    borders = {
        kind: paint.border for kind, paint in paints(THEMES[name]).items() if kind in ("phase", "main", "custom")
    }
    alike = [pair for pair in combinations(borders, 2) if apart(borders[pair[0]], borders[pair[1]], sight) < 0.08]
    assert alike == []
    changes = {kind.value: getattr(THEMES[name], kind.value).border for kind in Change}
    assert [p for p in combinations(changes, 2) if apart(changes[p[0]], changes[p[1]], sight) < 0.03] == []


@pytest.mark.parametrize("sight", COLOUR_BLINDNESS)
@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_the_outline_of_the_current_phase_differs_from_the_fills(theme, sight):
    fills = {kind: paint.fill for kind, paint in paints(theme).items() if kind in ("phase", "main", "custom")}
    assert {kind for kind, fill in fills.items() if apart(theme.current, fill, sight) < 0.08} == set()


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_heat_colours_are_legible_and_get_darker(theme):
    assert [paint for paint in theme.heat if contrast(paint.fill, paint.text) < 4.5] == []
    assert [paint for paint in theme.heat for page in PAGES[theme.name] if contrast(paint.border, page) < 2.9] == []
    steps = [contrast(light.fill, dark.fill) for light, dark in pairwise(theme.heat)]
    assert [step for step in steps if step < 1.2] == []
    assert [luminance(paint.fill) for paint in theme.heat] == sorted(
        (luminance(paint.fill) for paint in theme.heat), reverse=True
    )


def test_each_light_colour_has_one_dark_colour():
    light, dark = THEMES["light"], THEMES["dark"]
    pairs: set[tuple[str, str]] = set()
    for name in LINES:
        pairs.add((getattr(light, name), getattr(dark, name)))
    for name in PAINTS:
        pairs |= set(zip(astuple(getattr(light, name)), astuple(getattr(dark, name))))
    assert len({one for one, _ in pairs}) == len(pairs)
    assert dark_colours() == {one: other for one, other in pairs if one != other} | {light.box: dark.box}
    assert light.heat == dark.heat


def test_every_change_has_its_own_sign():
    assert len({*CHANGE_SIGNS.values()}) == len(Change) == len(CHANGE_SIGNS)


def test_the_role_of_a_node_is_its_change_else_its_marks_else_its_path():
    own = frozenset({Mark.CUSTOM})
    nodes = [
        Node("a", "a", main=True, marks=own, change=Change.REMOVED),
        Node("b", "b", marks=frozenset({Mark.CALLBACK})),
        Node("c", "c", main=True, marks=own),
        Node("d", "d", main=True, marks=frozenset({Mark.CURRENT})),
        Node("e", "", NodeKind.FINAL),
        Node("f", "f"),
        Node("g", "H*", NodeKind.HISTORY),
    ]
    assert [node_role(node) for node in nodes] == ["removed", "callback", "custom", "main", "main", "phase", "phase"]
    auto = get_theme("auto")
    assert [auto.node_paint(node) for node in nodes[:2]] == [
        auto.removed,
        Paint(None, auto.discovered, auto.discovered),
    ]


def test_the_colour_of_an_edge_is_by_its_change_else_its_path_else_its_kind():
    auto = get_theme("auto")
    edges = [
        Edge("a", "b", kind=EdgeKind.ERROR, main=True, change=Change.ADDED),
        Edge("a", "b", kind=EdgeKind.FIRED, main=True),
        *(Edge("a", "b", kind=kind) for kind in EdgeKind),
    ]
    kinds = [auto.line, auto.fired, auto.line, auto.error, auto.discovered]
    assert [auto.edge_colour(edge) for edge in edges] == [auto.added.border, auto.main.border, *kinds]


def test_the_default_theme_is_first_and_an_unknown_name_is_refused():
    assert next(iter(THEMES)) == "auto"
    assert {name: get_theme(name).name for name in THEMES} == {name: name for name in PAGES}
    with pytest.raises(ValueError, match=r"theme='neon'.*'auto', 'light', 'dark', 'print'"):
        get_theme("neon")
