"""Pictures of a lifecycle: one small diagram model, built once, drawn by each format."""

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
