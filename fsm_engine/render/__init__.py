"""Pictures of lifecycles and timelines: SVG, PNG, PDF, Mermaid, DOT and interactive HTML pages.

A lifecycle becomes a `Diagram`, a timeline a `TimelinePicture`; each format is a function from one of these to text or
bytes. Packages above (metrics, loggers, handlers, supervised, compat and cli) may import it, and `Lifecycle.draw` and
`Timeline.draw` import it when they are called.
"""

from __future__ import annotations

from fsm_engine.render.diagram import Box, Change, Diagram, Edge, EdgeKind, Mark, Node, NodeKind
from fsm_engine.render.diagram_builder import DiagramOptions, build_diagram
from fsm_engine.render.difference import compare_diagrams, draw_difference
from fsm_engine.render.formats import FORMATS, draw, render
from fsm_engine.render.themes import THEMES, Paint, Theme, get_theme

__all__ = [
    "FORMATS",
    "THEMES",
    "Box",
    "Change",
    "Diagram",
    "DiagramOptions",
    "Edge",
    "EdgeKind",
    "Mark",
    "Node",
    "NodeKind",
    "Paint",
    "Theme",
    "build_diagram",
    "compare_diagrams",
    "draw",
    "draw_difference",
    "get_theme",
    "render",
]
