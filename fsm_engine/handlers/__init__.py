"""Handlers: what is commonly attached to an engine."""

from __future__ import annotations

from fsm_engine.handlers.terminate_on_nan import TerminateOnNan
from fsm_engine.handlers.time_profilers import BasicTimeProfiler, HandlersTimeProfiler
from fsm_engine.handlers.timer import Timer
from fsm_engine.handlers.watchdog import Stall, Watchdog

__all__ = ["BasicTimeProfiler", "HandlersTimeProfiler", "Stall", "TerminateOnNan", "Timer", "Watchdog"]
