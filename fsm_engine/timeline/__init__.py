"""Timelines: recorded runs, their summary, verification and comparison, and their files.

A `recorder` writes the moves and handler calls of an engine into a `Timeline`. It is saved, exported to trace viewers,
and drawn by `render.timeline`. Packages from `render` upwards may import this one; it imports `engine` and below.
"""

from __future__ import annotations

from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import HandlerRef, Move, MoveKind, Span, Track

__all__ = ["HandlerRef", "Move", "MoveKind", "Span", "Timeline", "Track"]
