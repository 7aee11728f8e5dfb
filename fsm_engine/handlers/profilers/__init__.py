"""Profilers: tables of where the time of a run goes."""

from __future__ import annotations

from fsm_engine.handlers.profilers.basic import BasicTimeProfiler
from fsm_engine.handlers.profilers.handlers import HandlersTimeProfiler

__all__ = ["BasicTimeProfiler", "HandlersTimeProfiler"]
