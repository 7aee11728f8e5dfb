"""Functions that are called when the outermost active run of a thread ends, such as waiting for a writing thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fsm_engine.runtime.cursor import Outcome
from fsm_engine.runtime.run import Claim, Run


class _Active(threading.local):
    """The claims of the active runs in this thread, each inside the one before, and the functions to call at the end.

    The claims are weak references, because an exception at any line may end a run without a call of `end`.
    """

    def __init__(self) -> None:
        self.claims: list[Callable[[], Claim | None]] = []
        self.callbacks: list[Callable[[], None]] = []


_active = _Active()


def call_after_run(callback: Callable[[], None]) -> None:
    """Call `callback` once when the outermost active run of this thread has ended or is suspended.

    An exception that it raises leaves `Engine.run`, unless the run raises an exception itself. Without an active run in
    this thread, `callback` is not called.
    """
    if active_runs() and callback not in _active.callbacks:
        _active.callbacks.append(callback)


def active_runs() -> int:
    """Return the number of active runs in this thread, each inside the one before."""
    return sum(claim() is not None for claim in _active.claims)


def begin(run: Run) -> None:
    """Count a run that begins."""
    _active.claims = [claim for claim in _active.claims if claim() is not None] + [run._claim]


def end(run: Run) -> Exception | None:
    """Count a run that ends. If it is the outermost one, call the callbacks; return the first exception."""
    _active.claims = [claim for claim in _active.claims if claim() is not None and claim is not run._claim]
    if _active.claims or not _active.callbacks:
        return None
    errors: list[Exception] = []
    callbacks, _active.callbacks = _active.callbacks, []
    for callback in callbacks:
        try:
            callback()
        except Exception as error:
            errors.append(error)
    if errors and run._cursor.outcome is not Outcome.INTERRUPTED:
        run._cursor.outcome = Outcome.FAILED
    try:
        return errors[0] if errors else None
    finally:
        errors.clear()  # their tracebacks refer to this frame
