"""Colours and fonts of diagrams, shared by all formats.

Colour-blind readers can distinguish the colours of each theme. Formats also show the main path by its width, kinds
of edges by dashes and arrowheads, and changes by a sign in front of the text.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from fsm_engine._util.choices import choose
from fsm_engine.render.diagram import Change, Edge, EdgeKind, Mark, Node, NodeKind

HEAT_THRESHOLDS = (0.0, 0.01, 0.05, 0.2, 0.5)
"""Shares of the time at which a phase gets the next colour of `Theme.heat`."""

CHANGE_SIGNS = {Change.ADDED: "+", Change.REMOVED: "\N{MINUS SIGN}", Change.CHANGED: "~"}
"""Signs in front of the texts of parts that differ between two lifecycles."""


@dataclass(frozen=True)
class Paint:
    """The colours of a node, as ``#rrggbb``. A node without a fill is transparent."""

    fill: str | None
    text: str
    border: str


@dataclass(frozen=True)
class Theme:
    """The colours of a diagram, as ``#rrggbb``, and its font.

    Attributes:
        name: name that users choose the theme by.
        background: colour behind the picture; None for a transparent picture.
        text: colour of the title, and of the texts of boxes and edges.
        line: colour of edges that no other attribute applies to.
        box: colour of the borders of boxes.
        phase: colours of nodes beside the main path.
        main: colours of nodes on the main path; its edges have the colour of the border.
        custom: colours of phases that users defined.
        added: colours of parts that only the second of two compared lifecycles has. For this and the next two, edges
            have the colour of the border.
        removed: colours of parts that only the first lifecycle has.
        changed: colours of parts that differ between the two.
        current: colour of the outline around the phase that a run is in.
        fired: colour of edges that the step fires.
        error: colour of edges that exceptions take.
        discovered: colour of edges that were seen in a run and not declared, and of callback events at their ends.
        unvisited: colours of phases and edges that a recorded run did not enter.
        heat: colours of phases by their share of the time of a recorded run, one for each of `HEAT_THRESHOLDS`.
        font: font families; the first one that is installed is used.
    """

    name: str
    background: str | None
    text: str
    line: str
    box: str
    phase: Paint
    main: Paint
    custom: Paint
    added: Paint
    removed: Paint
    changed: Paint
    current: str
    fired: str
    error: str
    discovered: str
    unvisited: Paint
    heat: tuple[Paint, ...]
    font: str = "Helvetica,Arial,Liberation Sans,DejaVu Sans,sans-serif"

    @property
    def callback(self) -> Paint:
        """The colours of discovered callback events."""
        return Paint(None, self.discovered, self.discovered)

    def node_paint(self, node: Node) -> Paint:
        """Return the colours of `node`: by its share of the time if known, else by its role."""
        paint: Paint = getattr(self, node_role(node))
        return paint if node.heat is None else self.heat_paint(node.heat)

    def heat_paint(self, share: float) -> Paint:
        """Return the colours of a phase with this share of the time of a run."""
        return self.heat[sum(share >= threshold for threshold in HEAT_THRESHOLDS) - 1]

    def edge_colour(self, edge: Edge) -> str:
        """Return the colour of `edge`: faint if a recorded run did not take it, else by its change, path or kind."""
        if edge.weight == 0:
            return self.unvisited.border
        if edge.change is not None:
            paint: Paint = getattr(self, edge.change.value)
            return paint.border
        if edge.main:
            return self.main.border
        kinds = {EdgeKind.FIRED: self.fired, EdgeKind.ERROR: self.error, EdgeKind.DISCOVERED: self.discovered}
        return kinds.get(edge.kind, self.line)


def node_role(node: Node) -> str:
    """Return the name of the `Theme` attribute with the colours of `node`.

    A change takes precedence over a missing visit, that over the marks of a node, and those over the main path.
    """
    if node.change is not None:
        return node.change.value
    if node.unvisited:
        return "unvisited"
    if Mark.CALLBACK in node.marks:
        return "callback"
    if Mark.CUSTOM in node.marks:
        return "custom"
    return "main" if node.main or node.kind in (NodeKind.INITIAL, NodeKind.FINAL) else "phase"


def get_theme(name: str) -> Theme:
    """Return the theme called `name`: auto, light, dark or print.

    Raises:
        ValueError: no theme has that name.
    """
    return choose("theme", name, THEMES)


def _filled(fill: str, text: str = "#ffffff") -> Paint:
    return Paint(fill, text, fill)


_HEAT = (
    *(Paint(fill, "#2b1600", "#b35806") for fill in ("#fdf0dc", "#fdd49e", "#fca757")),
    *(Paint(fill, "#ffffff", "#b35806") for fill in ("#c2530a", "#8a2f04")),
)
_AUTO = Theme(
    name="auto",
    background=None,
    text="#747c86",
    line="#848d97",
    box="#848d97",
    phase=_filled("#616b76"),
    main=_filled("#1f6fb4"),
    custom=_filled("#e69f00", "#1f2328"),
    added=_filled("#00795a"),
    removed=_filled("#b84a00"),
    changed=_filled("#a64d83"),
    current="#d55e00",
    fired="#b87700",
    error="#d0471a",
    discovered="#148f77",
    unvisited=Paint("#ffffff", "#59636e", "#b6bec7"),
    heat=_HEAT,
)
_LIGHT = Theme(
    name="light",
    background="#ffffff",
    text="#3d444d",
    line="#6e7781",
    box="#a0a8b1",
    phase=Paint("#eaeef2", "#1f2328", "#8c959f"),
    main=Paint("#0b62a8", "#ffffff", "#0a5797"),
    custom=Paint("#ffe0a3", "#1f2328", "#b87700"),
    added=Paint("#cdeee2", "#1f2328", "#00795a"),
    removed=Paint("#ffd9c7", "#1f2328", "#b84a00"),
    changed=Paint("#f4d9e9", "#1f2328", "#a64d83"),
    current="#d55e00",
    fired="#946000",
    error="#c03d10",
    discovered="#0a7560",
    unvisited=Paint("#fbfcfd", "#59636e", "#b6bec7"),
    heat=_HEAT,
)
_DARK = Theme(
    name="dark",
    background="#0d1117",
    text="#c9d1d9",
    line="#8b949e",
    box="#57606a",
    phase=Paint("#21262d", "#f0f6fc", "#6e7681"),
    main=Paint("#1f6fb4", "#ffffff", "#56b4e9"),
    custom=Paint("#553a00", "#f0f6fc", "#e69f00"),
    added=Paint("#004d39", "#f0f6fc", "#2cc295"),
    removed=Paint("#662a00", "#f0f6fc", "#f0803c"),
    changed=Paint("#5c2a48", "#f0f6fc", "#dd8fbb"),
    current="#f08cc8",
    fired="#e6b23a",
    error="#ff8a5c",
    discovered="#3fcaa6",
    unvisited=Paint("#11161d", "#9198a1", "#414954"),
    heat=_HEAT,
)
_PRINT = Theme(
    name="print",
    background="#ffffff",
    text="#000000",
    line="#555555",
    box="#999999",
    phase=Paint("#ffffff", "#000000", "#555555"),
    main=_filled("#000000"),
    custom=Paint("#d4d4d4", "#000000", "#000000"),
    added=Paint("#ececec", "#000000", "#000000"),
    removed=Paint("#ffffff", "#6b6b6b", "#6b6b6b"),
    changed=Paint("#d4d4d4", "#000000", "#000000"),
    current="#808080",
    fired="#333333",
    error="#000000",
    discovered="#555555",
    unvisited=Paint("#fefefe", "#5f5f5f", "#b8b8b8"),
    heat=tuple(
        Paint(fill, "#000000" if number < 3 else "#ffffff", "#000000")
        for number, fill in enumerate(("#ffffff", "#dddddd", "#b0b0b0", "#707070", "#202020"))
    ),
)
THEMES = {theme.name: theme for theme in (_AUTO, _LIGHT, _DARK, _PRINT)}
"""All themes by name. The first is the default.

An SVG picture in this theme has the colours of "light", and of "dark" where the reader prefers those. Formats without
this choice use "light". Mermaid uses its own colours for the page, and fills that are legible on every page.
"""


def without_choice(theme: Theme) -> Theme:
    """Return the theme for a format that cannot follow the reader's colour scheme: "light" instead of "auto"."""
    return _LIGHT if theme is _AUTO else theme


def dark_colours() -> dict[str, str]:
    """Return the colours of the dark theme by the colours of the light theme, where they differ."""
    pairs: dict[str, str] = {}
    for field in fields(Theme):
        light, dark = getattr(_LIGHT, field.name), getattr(_DARK, field.name)
        if field.name in ("name", "font", "background", "heat"):
            continue
        if isinstance(light, Paint):
            pairs |= {getattr(light, part.name): getattr(dark, part.name) for part in fields(Paint)}
        else:
            pairs[light] = dark
    return {light: dark for light, dark in pairs.items() if light != dark}
