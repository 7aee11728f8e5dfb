"""Functions that are called when the outermost active run of a thread ends, such as waiting for a writing thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from fsm_engine.runtime.cursor import Outcome

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class _Active(threading.local):
    """The number of active runs in this thread, each inside the one before, and the functions to call at the end."""

    def __init__(self) -> None:
        self.runs = 0
        self.callbacks: list[Callable[[], None]] = []


_active = _Active()


def call_after_run(callback: Callable[[], None]) -> None:
    """Call `callback` once when the outermost active run of this thread has ended or is suspended.

    An exception that it raises leaves `Engine.run`, unless the run raises an exception itself. Without an active run in
    this thread, `callback` is not called.
    """
    if _active.runs and callback not in _active.callbacks:
        _active.callbacks.append(callback)


def begin() -> None:
    """Count a run that begins."""
    _active.runs += 1


def end(engine: Engine) -> Exception | None:
    """Count a run of `engine` that ends. If it is the outermost one, call the callbacks; return the first exception."""
    _active.runs -= 1
    if _active.runs or not _active.callbacks:
        return None
    errors: list[Exception] = []
    callbacks, _active.callbacks = _active.callbacks, []
    for callback in callbacks:
        try:
            callback()
        except Exception as error:
            errors.append(error)
    if errors and engine._cursor.outcome is not Outcome.INTERRUPTED:
        engine._cursor.outcome = Outcome.FAILED
    try:
        return errors[0] if errors else None
    finally:
        errors.clear()  # their tracebacks refer to this frame
