"""The page of the live inspector: its HTML, script and style as files of their own, and pictures of recorded tracks.

The page gets everything that it shows in messages of the inspector's server. Its content security policy allows no
inline script and no inline style.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from html import escape
from string import Template
from typing import Any

from fsm_engine.render.diagram import Diagram, Edge, Node
from fsm_engine.render.diagram_builder import FINAL, INITIAL
from fsm_engine.render.labels import one_line
from fsm_engine.render.layout import lay_out
from fsm_engine.render.page import colour_variables, page_theme, read_asset
from fsm_engine.render.page_details import ExitDetails, PhaseDetails
from fsm_engine.render.svg import to_svg
from fsm_engine.render.themes import THEMES
from fsm_engine.render.timeline.visited_diagram import visited_diagram
from fsm_engine.timeline.track import MoveKind, Track

_SHARED = ("dom", "mode", "tabs", "view", "picture", "panel", "listbox", "search")
_CHART = ("times", "lane", "tracks", "chart", "gestures", "details", "pointing")
_OWN = (
    *("records", "series", "throttle", "connection", "moment", "overlay", "look", "run", "breakpoints", "phase"),
    *(
        "curves",
        "tables",
        "log",
        "transport",
        "timeline",
        "engines",
        "bar",
        "main",
        "messages",
        "selection",
        "keys",
        "start",
    ),
)
SCRIPTS = (
    *(f"{name}.js" for name in _SHARED),
    *(f"timeline/{name}.js" for name in _CHART),
    *(f"inspector/{name}.js" for name in _OWN),
)
"""The parts of the script, each after the parts that it uses."""

STYLES = ("page.css", "timeline/chart.css", "inspector/inspector.css")


def inspector_page(mode: str = "live", title: str = "fsm_engine inspector") -> str:
    """Return the page. It loads ``page.js`` and ``page.css`` from its own folder, and connects to ``live`` there.

    Args:
        mode: ``live`` for runs, ``replay`` for a recording, which cannot be steered.
        title: the title that is shown until the server has sent another.
    """
    return Template(read_asset("inspector/page.html")).substitute(title=escape(one_line(title)), mode=escape(mode))


def inspector_script() -> str:
    """Return the script of the page."""
    return "".join(map(read_asset, SCRIPTS))


def inspector_style() -> str:
    """Return the style sheet of the page."""
    return colour_variables(THEMES["auto"]) + _heat_variables() + "".join(map(read_asset, STYLES))


def track_picture(track: Track) -> dict[str, Any]:
    """Return a picture of the phases that a recorded track visited, and their details, as messages have them.

    A recording has no guards, activities or exits that were never taken, so the details are without them.
    """
    diagram = visited_diagram(track, {})
    plain = replace(diagram, edges=tuple(replace(edge, text="", weight=None) for edge in diagram.edges))
    return {"svg": to_svg(lay_out(plain), page_theme()), "phases": list(map(asdict, _phases(track, plain)))}


def _phases(track: Track, diagram: Diagram) -> Iterator[PhaseDetails]:
    """Yield the details of the phases; the phase in which runs start and end comes first."""
    kinds = {str(kind): kind for kind in track.kinds}
    exits: dict[str, dict[str, ExitDetails]] = {}
    for edge in diagram.edges:
        kind = kinds[edge.tip]
        exits.setdefault(kind.source, {})[kind.label] = _exit(kind, edge)
    first = next((kind.source for kind in kinds.values() if kind.trigger == "run"), "")
    if first:
        yield _phase(first, (INITIAL, FINAL), (), exits)
    for node in diagram.nodes:
        if node.id not in (INITIAL, FINAL):
            yield _phase(node.id, (node.id,), _scopes(node), exits)


def _phase(
    name: str, nodes: tuple[str, ...], scopes: tuple[str, ...], exits: Mapping[str, Mapping[str, ExitDetails]]
) -> PhaseDetails:
    return PhaseDetails(
        id=name,
        name=name.rpartition(".")[2],
        nodes=nodes,
        scopes=scopes,
        entry=(),
        activity="",
        defer="",
        counter="",
        terminal=INITIAL in nodes,
        fired=False,
        recovers=False,
        handlers=(),
        exits=tuple(exits.get(name, {}).values()),
    )


def _scopes(node: Node) -> tuple[str, ...]:
    path = () if node.box is None else tuple(node.box.split("."))
    return tuple(".".join(path[:depth]) for depth in range(1, len(path) + 1))


def _exit(kind: MoveKind, edge: Edge) -> ExitDetails:
    return ExitDetails(
        label=kind.label,
        kind="error" if kind.is_error else "signal" if kind.trigger == "run" else kind.trigger,
        signal="",
        target=kind.target,
        history="",
        via="",
        guard="",
        action="",
        errors=(),
        limit=None,
        handlers=(),
        edge=(edge.source, edge.target, edge.tip),
    )


def _heat_variables() -> str:
    """Return CSS variables with the colours of phases by their share of the time, such as ``--heat-0-fill``."""
    paints = enumerate(THEMES["auto"].heat)
    colours = [(f"--heat-{level}-{part}", value) for level, paint in paints for part, value in asdict(paint).items()]
    return ":root {\n" + "".join(f"  {name}: {value};\n" for name, value in colours) + "}\n"
