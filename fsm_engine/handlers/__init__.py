"""Handlers: what is commonly attached to an engine."""

from __future__ import annotations

from fsm_engine.handlers.terminate_on_nan import TerminateOnNan
from fsm_engine.handlers.timer import Timer

__all__ = ["TerminateOnNan", "Timer"]
