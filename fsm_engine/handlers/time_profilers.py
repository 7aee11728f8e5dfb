"""Profilers: what the time of a run is spent on, in tables."""

from __future__ import annotations

from fsm_engine.handlers.profilers.basic import BasicTimeProfiler
from fsm_engine.handlers.profilers.handlers import HandlersTimeProfiler

__all__ = ["BasicTimeProfiler", "HandlersTimeProfiler"]
