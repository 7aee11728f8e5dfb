"""Signals: requests that move a run from outside the graph."""

from __future__ import annotations

from enum import Enum


class Signal(Enum):
    """A request from outside the graph. The first three can be pending, and are handled in this order.

    Example:
        >>> [signal.value for signal in Signal]
        ['terminate', 'terminate_epoch', 'interrupt', 'run', 'exception']
    """

    TERMINATE = "terminate"
    TERMINATE_EPOCH = "terminate_epoch"
    INTERRUPT = "interrupt"
    RUN = "run"
    EXCEPTION = "exception"

    # Members are compared by identity. Enum's __hash__ is a Python function and takes longer than a dict look-up.
    __hash__ = object.__hash__
