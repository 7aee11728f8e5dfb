"""Diagrams as Mermaid: the text, and its rendering by Mermaid in a browser."""

from __future__ import annotations

import html
import json
import random
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sample_diagrams import INNER, RICH, hostile_diagram

from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.render.diagram import Box, Diagram, Edge, EdgeKind, Mark, Node, NodeKind
from fsm_engine.render.diagram_builder import DiagramOptions, build_diagram
from fsm_engine.render.labels import edge_text, node_text, one_line
from fsm_engine.render.mermaid import to_mermaid
from fsm_engine.render.themes import THEMES, get_theme

MERMAID = Path(__file__).resolve().parents[1] / "browser" / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"
CHROMIUM = shutil.which("chromium")


def test_a_small_diagram_as_mermaid():
    small = Diagram(
        nodes=(
            Node("initial", "", NodeKind.INITIAL, main=True),
            Node("E.A", "A", box="run", main=True, notes=("next batch",)),
            Node("E.B", "B", marks=frozenset({Mark.CUSTOM})),
            Node("final", "", NodeKind.FINAL, main=True),
        ),
        boxes=(Box("run", "run"),),
        edges=(
            Edge("initial", "E.A", "run", EdgeKind.SIGNAL, main=True),
            Edge("E.A", "final", main=True),
            Edge("run", "E.B", "interrupt", EdgeKind.SIGNAL),
            Edge("E.B", "E.A", "ValueError", EdgeKind.ERROR),
        ),
        title="Small",
        to_the_right=True,
    )
    assert to_mermaid(small).splitlines() == [
        "---",
        'title: "Small"',
        "---",
        "stateDiagram-v2",
        "    direction LR",
        "    B",
        '    state "run" as scope_run {',
        '        state "A" as A',
        "        A : next batch",
        '        state "any phase of run" as any_of_run',
        "    }",
        "    [*] --> A : run",
        "    A --> [*]",
        "    B --> A : error ValueError",
        "    any_of_run --> B : interrupt",
        "    classDef custom fill:#e69f00,stroke:#e69f00,color:#1f2328,stroke-width:2px",
        "    classDef main fill:#1f6fb4,stroke:#1f6fb4,color:#ffffff",
        "    classDef any fill:transparent,stroke:#848d97,stroke-dasharray:4 3",
        "    class B custom",
        "    class A main",
        "    class any_of_run any",
    ]


def test_an_inner_diagram_has_its_own_initial_and_final_points():
    text = to_mermaid(Diagram((Node("A", "A", inner=INNER),)))
    inside = text[text.index("{") : text.rindex("}")]
    assert re.findall(r"^ *(.*\[\*\].*)$", text, re.MULTILINE) == ["[*] --> COLLECT : run", "COLLECT --> [*]"]
    assert text.count("[*]") == inside.count("[*]")


def test_nodes_with_the_same_name_have_different_ids():
    twins = Diagram((Node("One.A", "A"), Node("Two.A", "A"), Node("Three.A", "A")))
    assert to_mermaid(twins).splitlines()[2:5] == ["    A", '    state "A" as A_2', '    state "A" as A_3']


def test_a_theme_without_a_background_sets_no_colours_of_the_page():
    assert "config:" not in to_mermaid(RICH)
    assert '    background: "#0d1117"' in to_mermaid(RICH, get_theme("dark")).splitlines()


# In a browser


def shown_in(picture: Diagram) -> Counter[str]:
    """Return the texts of a diagram that its picture must show, without the title."""
    left = {edge.source for edge in picture.edges}
    shown = Counter(box.text for box in picture.boxes)
    shown += Counter(f"any phase of {box.text}" for box in picture.boxes if box.id in left)
    shown += Counter(edge_text(edge) for edge in picture.edges if edge_text(edge))
    for node in picture.nodes:
        if node.inner is not None:
            shown += shown_in(node.inner) + Counter([f"{node_text(node)}, {node.inner.title}"])
        elif node.kind not in (NodeKind.INITIAL, NodeKind.FINAL):
            shown += Counter([node_text(node), *node.notes])
    return shown


def plain(texts: Iterable[str]) -> Counter[str]:
    """Return the non-empty texts on one line each, with Mermaid's replacements of two letters."""
    alike = str.maketrans({"\N{LATIN SMALL LIGATURE FL}": "fl", "\N{PILCROW SIGN}": "P"})
    return Counter(filter(None, (one_line(text).translate(alike) for text in texts)))


def lines(label: str) -> list[str]:
    """Return the lines of a label in HTML."""
    return [html.unescape(line) for line in re.sub("</?p>", "", label).split("<br>")]


def random_texts() -> tuple[str, ...]:
    """Return random texts of tokens with a meaning in Mermaid, Markdown or HTML."""
    dice = random.Random(1)
    pieces = [
        *"\"'`#;:%&<>{}[]()*_~-=+|\\/!?.,$@^ \n",
        "a",
        "1",
        "b2",
        "end",
        "style",
        "state",
        "direction TB",
        "\u00e9",
    ]
    return tuple(dict.fromkeys("".join(dice.choices(pieces, k=dice.randint(1, 6))) for _ in range(250)))


SCRIPT = """
const texts = %s, results = [];
for (let i = 0; i < texts.length; i++) {
    try {
        const {svg} = await mermaid.render("picture" + i, texts[i]);
        const place = document.createElement("div");
        place.innerHTML = svg;
        results.push({
            texts: [...place.querySelectorAll(".nodeLabel, .edgeLabel p")].map((label) => label.innerHTML),
            title: place.querySelector(".statediagramTitleText").textContent,
            elements: [...place.querySelectorAll("*")].map((element) => element.tagName.toLowerCase()),
        });
    } catch (error) { results.push({error: error.message}); }
}
document.body.replaceChildren(JSON.stringify(results));
"""


def rendered(texts: list[str], folder: Path) -> list[dict[str, Any]]:
    """Return Mermaid's result for each text: the texts of the picture, or the error."""
    page = folder / "page.html"
    script = SCRIPT % json.dumps(texts).replace("<", "\\u003c")
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><script src="{MERMAID.as_uri()}"></script><body></body>'
        f'<script type="module">mermaid.initialize({{startOnLoad: false, maxTextSize: 1e6}});{script}</script>',
        encoding="utf-8",
    )
    options = (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
        *("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=120000"),
        *(f"--user-data-dir={folder / 'profile'}", "--dump-dom", page.as_uri()),
    )
    done = subprocess.run([str(CHROMIUM), *options], capture_output=True, text=True, check=True, timeout=280)
    body = re.search(r"<body>(.*)</body>", done.stdout, re.DOTALL)
    assert body is not None, done.stdout
    results: list[dict[str, Any]] = json.loads(html.unescape(body.group(1)))
    return results


PICTURES = {
    "everything": RICH,
    "hostile": hostile_diagram(),
    "random": hostile_diagram(random_texts()),
    "training": build_diagram(Lifecycle.training(), DiagramOptions("Training", guards=True)),
    "to the right": replace(RICH, to_the_right=True),
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    if CHROMIUM is None or not MERMAID.exists():
        pytest.skip("needs chromium, and npm ci --prefix tests/browser --ignore-scripts")
    texts = {name: to_mermaid(picture) for name, picture in PICTURES.items()}
    texts |= {f"everything, {name}": to_mermaid(RICH, theme) for name, theme in THEMES.items()}
    return dict(zip(texts, rendered(list(texts.values()), tmp_path_factory.mktemp("mermaid"))))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PICTURES, *(f"everything, {name}" for name in THEMES)])
def test_mermaid_shows_every_text_of_a_diagram_unchanged(name, seen):
    picture = PICTURES.get(name, RICH)
    assert "error" not in seen[name], seen[name]
    assert plain(line for text in seen[name]["texts"] for line in lines(text)) == plain(shown_in(picture).elements())
    assert {"script", "b", "i", "strong", "em", "a", "code", "img", "ul", "ol"} & {*seen[name]["elements"]} == set()


@pytest.mark.slow
def test_mermaid_shows_the_title(seen):
    assert seen["everything"]["title"] == 'A \u2039rich\u203a diagram: "all" \uff06 100% of it'


@pytest.mark.slow
def test_an_error_of_mermaid_is_detected(tmp_path, seen):
    broken = "stateDiagram-v2\n    A --> \n"
    assert "error" in rendered([broken], tmp_path)[0]
