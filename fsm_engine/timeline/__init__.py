"""Timelines: the recorded moves and handler calls of a run, with their times.

A recorder observes an engine and fills a `Timeline`; summaries, files, exports and comparisons read it. The package
imports `engine` and packages below it; `render` and the packages above it may import it.
"""

from __future__ import annotations

from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import HandlerRef, Kind, Move, Span, Track

__all__ = ["HandlerRef", "Kind", "Move", "Span", "Timeline", "Track"]
