"""Functions that are called when the outermost active run of a thread ends, such as waiting for a writing thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fsm_engine.runtime.claim import Claim
from fsm_engine.runtime.cursor import Outcome
from fsm_engine.runtime.run import Run


class _Active(threading.local):
    """The claims of the active runs in this thread, each inside the one before, and the functions to call at the end.

    An exception may have ended a run without a call of `end`; then its claim is not held.
    """

    def __init__(self) -> None:
        self.claims: list[Claim] = []
        self.callbacks: list[Callable[[], None]] = []


_active = _Active()


def _drop_ended_runs() -> list[Claim]:
    """Return the claims of the active runs in this thread, after those that have ended were removed."""
    claims = _active.claims
    while claims and claims[-1].holder() is None:
        claims.pop()
    return claims


def call_after_run(callback: Callable[[], None]) -> None:
    """Call `callback` once when the outermost active run of this thread has ended or is suspended.

    An exception that it raises leaves `Engine.run`, unless the run raises an exception itself. Without an active run in
    this thread, `callback` is not called.
    """
    if active_runs() and callback not in _active.callbacks:
        _active.callbacks.append(callback)


def active_runs() -> int:
    """Return the number of active runs in this thread, each inside the one before."""
    return len(_drop_ended_runs())


def begin(run: Run) -> None:
    """Add a run that begins."""
    _drop_ended_runs().append(run._claim)


def end(run: Run) -> BaseException | None:
    """Remove a run that ends. If it is the outermost, call all callbacks.

    Returns:
        The first exception of a callback; a KeyboardInterrupt or the like takes precedence over an `Exception`, and
        does not make the run a failed one.
    """
    claims = _active.claims
    while claims:  # an exception may have ended runs inside this one without a call of `end`
        if claims.pop() is run._claim:
            break
    if claims or not _active.callbacks:
        return None
    errors: list[BaseException] = []
    callbacks, _active.callbacks = _active.callbacks, []
    for callback in callbacks:
        try:
            callback()
        except BaseException as error:
            errors.append(error)
    errors.sort(key=_is_error)
    if errors and _is_error(errors[-1]) and run._cursor.outcome is not Outcome.INTERRUPTED:
        run._cursor.outcome = Outcome.FAILED
    try:
        return errors[0] if errors else None
    finally:
        errors.clear()  # their tracebacks refer to this frame


def _is_error(error: BaseException) -> bool:
    return isinstance(error, Exception)
