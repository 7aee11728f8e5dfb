"""Pictures of a lifecycle: one small diagram model, built once, drawn by each format."""

from __future__ import annotations

from fsm_engine.render.build import Options, diagram
from fsm_engine.render.compare import compared, draw_difference
from fsm_engine.render.diagram import Box, Change, Diagram, Edge, EdgeKind, Mark, Node, NodeKind
from fsm_engine.render.formats import FORMATS, draw, render
from fsm_engine.render.themes import THEMES, Paint, Theme, theme_named

__all__ = [
    "FORMATS",
    "THEMES",
    "Box",
    "Change",
    "Diagram",
    "Edge",
    "EdgeKind",
    "Mark",
    "Node",
    "NodeKind",
    "Options",
    "Paint",
    "Theme",
    "compared",
    "diagram",
    "draw",
    "draw_difference",
    "render",
    "theme_named",
]
