"""Pictures of lifecycles and timelines: SVG, PNG, PDF, Mermaid, DOT and interactive HTML pages.

A lifecycle becomes a `Diagram`, a timeline a `TimelinePicture`; each format is a function from one of these to text or
bytes. Packages above (metrics, loggers, handlers, supervised, compat and cli) may import it, and `Lifecycle.draw` and
`Timeline.draw` import it when they are called.
"""

from __future__ import annotations

from fsm_engine.render.difference import draw_difference
from fsm_engine.render.formats import FORMATS, draw, render
from fsm_engine.render.themes import THEMES

__all__ = ["FORMATS", "THEMES", "draw", "draw_difference", "render"]
