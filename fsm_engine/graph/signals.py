"""Signals: requests that move a run from outside the graph."""

from __future__ import annotations

from enum import Enum


class Signal(Enum):
    """A request from outside the graph. The first three can be pending, and are handled in this order."""

    TERMINATE = "terminate"
    TERMINATE_EPOCH = "terminate_epoch"
    INTERRUPT = "interrupt"
    RUN = "run"
    EXCEPTION = "exception"
