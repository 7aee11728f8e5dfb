"""Pictures of a lifecycle: one small diagram model, built once, drawn by each format."""

from __future__ import annotations

from fsm_engine.render.diagram import Box, Change, Diagram, Edge, EdgeKind, Mark, Node, NodeKind

__all__ = ["Box", "Change", "Diagram", "Edge", "EdgeKind", "Mark", "Node", "NodeKind"]
