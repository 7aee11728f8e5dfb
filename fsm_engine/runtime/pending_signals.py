"""`PendingSignals`: the signals and callbacks that a run has not handled yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fsm_engine.graph.signals import Signal
from fsm_engine.runtime.part import Part


class PendingSignals(Part):
    """Requested signals, callbacks of `call_when_safe`, and the flag that the generated function reads.

    Attributes:
        needs_attention: True if a signal or a callback is pending, or handlers, data, observers or the state changed.
        requests: the pending signals. For TERMINATE and TERMINATE_EPOCH, the value is True to skip the completed event
            that follows; for INTERRUPT, it is True to stop even in a phase that defers signals.
        saved_requests: the signals that were pending at the position of a loaded run.
        callbacks: functions to call at the next position between handlers and activity.
        is_calling_back: True while a callback is called.
    """

    __slots__ = ("callbacks", "is_calling_back", "needs_attention", "requests", "saved_requests")
    PROCESS = frozenset({"callbacks", "is_calling_back", "needs_attention", "requests"})

    def restart(self) -> None:
        """Drop the signals of a loaded run."""
        self.saved_requests: dict[Signal, bool] = {}

    def reset_process(self) -> None:
        """Drop all requests and callbacks, which belong to this process."""
        self.requests: dict[Signal, bool] = {}
        self.callbacks: list[Callable[[Any], Any]] = []
        self.is_calling_back = False
        self.needs_attention = False

    def take_terminate_epoch(self) -> bool:
        """Remove the request to end the epoch, and return True if it skips EPOCH_COMPLETED."""
        return self.requests.pop(Signal.TERMINATE_EPOCH)
