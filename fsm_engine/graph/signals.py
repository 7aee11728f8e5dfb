"""Signals: requests from outside the graph."""

from __future__ import annotations

from enum import Enum


class Signal(Enum):
    """A request from outside the graph. Signals that can be pending are in the order in which they are handled."""

    TERMINATE = "terminate"
    TERMINATE_EPOCH = "terminate_epoch"
    INTERRUPT = "interrupt"
    RUN = "run"
    EXCEPTION = "exception"
