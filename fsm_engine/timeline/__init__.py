"""Timelines: what happened in a run, when, and what its time was spent on."""

from __future__ import annotations

from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import HandlerRef, Kind, Move, Span, Track

__all__ = ["HandlerRef", "Kind", "Move", "Span", "Timeline", "Track"]
