"""`Failure`: the exception that a run is handling, and its recovery from earlier exceptions."""

from __future__ import annotations

from typing import Any

from fsm_engine.runtime.part import Part


class Failure(Part):
    """The exception that a run is handling, and the error edges that it has taken.

    Attributes:
        error: the exception that caused the current transition, passed to handlers and observers.
        final_error: the exception for which EXCEPTION_RAISED was entered.
        failed_position: the position at which `final_error` was raised.
        is_handled: True if EXCEPTION_RAISED has a handler and `final_error` is an `Exception`, so `run` does not raise
            it.
        recovered_from: the position from which the last error edge was taken.
        edges_tried: the names of the error edges taken since a phase outside recoveries has failed.
        called: the event entries of the current move whose handlers have been called.
    """

    __slots__ = ("called", "edges_tried", "error", "failed_position", "final_error", "is_handled", "recovered_from")
    PROCESS = frozenset({"called", "error", "failed_position", "final_error", "is_handled"})

    def restart(self) -> None:
        """Reset the recoveries of the last run."""
        self.recovered_from: int | None = None
        self.edges_tried: frozenset[str] = frozenset()

    def reset_process(self) -> None:
        """Drop the exception, which belongs to this process."""
        self.error: BaseException | None = None
        self.final_error: BaseException | None = None
        self.failed_position: int | None = None
        self.is_handled = False
        self.called: list[Any] = []
