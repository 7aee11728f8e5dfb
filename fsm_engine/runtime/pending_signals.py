"""`PendingSignals`: the requests that a run has not handled yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fsm_engine.graph.signals import Signal
from fsm_engine.runtime.part import Part


class PendingSignals(Part):
    """Requested signals, callbacks to call when it is safe, and the flag that the generated function reads.

    Attributes:
        needs_attention: True if a signal is pending, or handlers, data or observers changed.
        requests: the pending signals. The value says whether to skip the completed event that follows; for INTERRUPT,
            whether to stop even inside an iteration.
        saved_requests: the signals that were pending where a loaded run resumes.
        callbacks: functions to call after the handlers of the current event.
        is_calling_back: True while these are called.
    """

    __slots__ = ("callbacks", "is_calling_back", "needs_attention", "requests", "saved_requests")
    PROCESS = frozenset({"callbacks", "is_calling_back", "needs_attention", "requests"})

    def restart(self) -> None:
        """Forget the signals of a loaded run."""
        self.saved_requests: dict[Signal, bool] = {}

    def reset_process(self) -> None:
        """Forget all requests."""
        self.requests: dict[Signal, bool] = {}
        self.callbacks: list[Callable[[Any], Any]] = []
        self.is_calling_back = False
        self.needs_attention = False
