"""`Failure`: the exception that a run is handling, and how it recovered from earlier ones."""

from __future__ import annotations

from typing import Any

from fsm_engine.runtime.part import Part


class Failure(Part):
    """The exception that moves a run, and the error edges that it has taken.

    Attributes:
        error: the exception that caused this transition, passed to handlers and observers.
        final_error: the exception for which EXCEPTION_RAISED was entered.
        failed_position: the position at which it was raised.
        is_handled: True if EXCEPTION_RAISED has a handler, so `run` does not raise the exception.
        recovered_from: the position that the last error edge left.
        edges_tried: the names of the error edges taken since the last phase that is not part of a recovery failed.
        called: the event entries of the current move whose handlers have been called.
    """

    __slots__ = ("called", "edges_tried", "error", "failed_position", "final_error", "is_handled", "recovered_from")
    PROCESS = frozenset({"called", "error", "failed_position", "final_error", "is_handled"})

    def restart(self) -> None:
        """Forget earlier recoveries."""
        self.recovered_from: int | None = None
        self.edges_tried: frozenset[str] = frozenset()

    def reset_process(self) -> None:
        """Forget the exception."""
        self.error: BaseException | None = None
        self.final_error: BaseException | None = None
        self.failed_position: int | None = None
        self.is_handled = False
        self.called: list[Any] = []
