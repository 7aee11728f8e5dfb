"""Colours of a diagram, shared by every format.

Each theme can be read by colour-blind eyes. Still, nothing is told by colour alone: formats draw the main path
heavier, edges of different kinds with different dashes, and a change with a sign before its text.
"""

from __future__ import annotations

from dataclasses import dataclass

from fsm_engine.render.choices import choose
from fsm_engine.render.diagram import Change, Edge, EdgeKind, Mark, Node, NodeKind

HEAT_THRESHOLDS = (0.0, 0.01, 0.05, 0.2, 0.5)
"""The shares of the time from which on a phase has the next of a theme's colours for them."""

CHANGE_SIGNS = {Change.ADDED: "+", Change.REMOVED: "\N{MINUS SIGN}", Change.CHANGED: "~"}
"""What stands before the text of a part that differs."""


@dataclass(frozen=True)
class Paint:
    """The colours of a node, as ``#rrggbb``. Without a fill, the page shows through."""

    fill: str | None
    text: str
    border: str


@dataclass(frozen=True)
class Theme:
    """The colours of a diagram, as ``#rrggbb``, and its font.

    Attributes:
        name: what users ask for it by.
        background: None leaves the page as it is.
        text: of the title, boxes, and edges.
        line: of edges that nothing else is said about.
        box: of the borders of boxes.
        phase: nodes beside the main path.
        main: nodes and, by its border, edges of the main path.
        custom: phases of the user's own.
        added: parts that only the second of two lifecycles has; edges have the colour of the border.
        removed: parts that only the first one has.
        changed: parts that differ between the two.
        current: the outline of the phase that a run is in.
        fired: edges that a step moves along.
        error: edges that exceptions take.
        discovered: edges that were seen and not declared, and the callback events at their ends.
        heat: phases by their share of the time of a recorded run, from little to much.
        font: families, the first that is there counts.
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
    heat: tuple[Paint, ...]
    font: str = "Helvetica,Arial,Liberation Sans,DejaVu Sans,sans-serif"

    @property
    def callback(self) -> Paint:
        """The colours of callback events that were discovered."""
        return Paint(None, self.discovered, self.discovered)

    def paint(self, node: Node) -> Paint:
        """Return the colours of `node`: those of its `role`."""
        paint: Paint = getattr(self, role(node))
        return paint if node.heat is None else self.warm(node.heat)

    def warm(self, share: float) -> Paint:
        """Return the colours for a share of the time of a run."""
        return self.heat[sum(share >= step for step in HEAT_THRESHOLDS) - 1]

    def stroke(self, edge: Edge) -> str:
        """Return the colour of `edge`; how it differs goes before what it lies on, and that before its kind."""
        if edge.change is not None:
            differs: Paint = getattr(self, edge.change.value)
            return differs.border
        if edge.main:
            return self.main.border
        kinds = {EdgeKind.FIRED: self.fired, EdgeKind.ERROR: self.error, EdgeKind.DISCOVERED: self.discovered}
        return kinds.get(edge.kind, self.line)


def role(node: Node) -> str:
    """Return the attribute of a theme that paints `node`.

    How it differs goes before whose it is, and that before where it lies.
    """
    if node.change is not None:
        return node.change.value
    if Mark.CALLBACK in node.marks:
        return "callback"
    if Mark.CUSTOM in node.marks:
        return "custom"
    return "main" if node.main or node.kind in (NodeKind.INITIAL, NodeKind.FINAL) else "phase"


def get_theme(name: str) -> Theme:
    """Return the theme of that name: auto, light, dark or print.

    Raises:
        ValueError: there is none.
    """
    return choose("theme", name, THEMES)


def _plain(fill: str, text: str = "#ffffff") -> Paint:
    return Paint(fill, text, fill)


_WARM = (
    *(Paint(fill, "#2b1600", "#b35806") for fill in ("#fdf0dc", "#fdd49e", "#fca757")),
    *(Paint(fill, "#ffffff", "#b35806") for fill in ("#c2530a", "#8a2f04")),
)
_AUTO = Theme(
    name="auto",
    background=None,
    text="#747c86",
    line="#848d97",
    box="#848d97",
    phase=_plain("#616b76"),
    main=_plain("#1f6fb4"),
    custom=_plain("#e69f00", "#1f2328"),
    added=_plain("#00795a"),
    removed=_plain("#b84a00"),
    changed=_plain("#a64d83"),
    current="#d55e00",
    fired="#b87700",
    error="#d0471a",
    discovered="#148f77",
    heat=_WARM,
)
_LIGHT = Theme(
    name="light",
    background="#ffffff",
    text="#3d444d",
    line="#6e7781",
    box="#a0a8b1",
    phase=Paint("#eaeef2", "#1f2328", "#8c959f"),
    main=_plain("#0b62a8"),
    custom=Paint("#ffe0a3", "#1f2328", "#b87700"),
    added=Paint("#cdeee2", "#1f2328", "#00795a"),
    removed=Paint("#ffd9c7", "#1f2328", "#b84a00"),
    changed=Paint("#f4d9e9", "#1f2328", "#a64d83"),
    current="#d55e00",
    fired="#946000",
    error="#c03d10",
    discovered="#0a7560",
    heat=_WARM,
)
_DARK = Theme(
    name="dark",
    background="#0d1117",
    text="#c9d1d9",
    line="#8b949e",
    box="#57606a",
    phase=Paint("#21262d", "#e6edf3", "#6e7681"),
    main=Paint("#1f6fb4", "#ffffff", "#56b4e9"),
    custom=Paint("#553a00", "#ffffff", "#e69f00"),
    added=Paint("#004d39", "#ffffff", "#2cc295"),
    removed=Paint("#662a00", "#ffffff", "#f0803c"),
    changed=Paint("#5c2a48", "#ffffff", "#dd8fbb"),
    current="#f08cc8",
    fired="#e6b23a",
    error="#ff8a5c",
    discovered="#3fcaa6",
    heat=_WARM,
)
_PRINT = Theme(
    name="print",
    background="#ffffff",
    text="#000000",
    line="#555555",
    box="#999999",
    phase=Paint("#ffffff", "#000000", "#555555"),
    main=_plain("#000000"),
    custom=Paint("#d4d4d4", "#000000", "#000000"),
    added=Paint("#ececec", "#000000", "#000000"),
    removed=Paint("#ffffff", "#6b6b6b", "#6b6b6b"),
    changed=Paint("#d4d4d4", "#000000", "#000000"),
    current="#808080",
    fired="#333333",
    error="#000000",
    discovered="#555555",
    heat=tuple(
        Paint(fill, "#000000" if number < 3 else "#ffffff", "#000000")
        for number, fill in enumerate(("#ffffff", "#dddddd", "#b0b0b0", "#707070", "#202020"))
    ),
)
THEMES = {theme.name: theme for theme in (_AUTO, _LIGHT, _DARK, _PRINT)}
"""Every theme by its name, the default first. That one can be read on a light and on a dark page."""
