"""Profilers: what the time of a run is spent on, in tables."""

from __future__ import annotations

from fsm_engine.timeline.basic_profiler import BasicTimeProfiler
from fsm_engine.timeline.handlers_profiler import HandlersTimeProfiler

__all__ = ["BasicTimeProfiler", "HandlersTimeProfiler"]
