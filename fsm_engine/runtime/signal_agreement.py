"""`SignalAgreement`: lets several processes that run the same lifecycle handle a signal at the same place."""

from __future__ import annotations

from typing import Protocol

from fsm_engine.graph.signals import Signal


class SignalAgreement(Protocol):
    """Takes the signals that are requested of an engine, and gives them back where the run is to handle them."""

    @property
    def is_pending(self) -> bool:
        """True from a request, here or in another process, until the run has handled it."""
        ...

    def request(self, signal: Signal, skip: bool) -> None:
        """Ask all processes to handle `signal`."""
        ...

    def requested(self, signal: Signal) -> bool | None:
        """Return the value of a request that the run has not handled yet; None if there is none."""
        ...

    def begin_run(self) -> None:
        """Note that a run begins in the current thread."""
        ...

    def at_safe_point(self, position: int) -> dict[Signal, bool]:
        """Return the signals to handle at `position`, where signals are safe. May wait for the other processes."""
        ...

    def leave_safe_point(self) -> None:
        """Note that the lifecycle continues from here, with or without `at_safe_point`."""
        ...

    def end_run(self, error: BaseException | None) -> None:
        """Note that the run has ended or is suspended; `error` is the exception that ended it."""
        ...
