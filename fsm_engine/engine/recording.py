"""The recorders of the active runs of each thread: an engine that runs inside a recorded run is recorded, too.

A program around the user's code, such as ``fsm-engine run``, can start a recorder for every run of the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from fsm_engine.runtime import run_ends
from fsm_engine.runtime.claim import Claim

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class Recording(Protocol):
    """The methods of a recorder that the engine calls."""

    @property
    def is_over(self) -> bool:
        """True once the recorder was removed."""
        ...

    def begin(self) -> None:
        """Record the beginning of a run."""

    def end(self, error: BaseException | None) -> None:
        """Record the end of a run; `error` is the exception that ended it."""

    def record_nested(self, engine: Engine) -> None:
        """Record `engine`, whose run begins inside a recorded run."""

    def remove(self) -> None:
        """Stop recording."""


class _Active(threading.local):
    """The recorders of the runs active in this thread, and the claims of these runs, the outermost run first."""

    def __init__(self) -> None:
        self.recorders: list[tuple[Claim, Recording]] = []


_active = _Active()
_before_runs: list[Callable[[Engine], object]] = []
_making_way: WeakSet[Recording] = WeakSet()


@contextmanager
def before_outermost_runs(call: Callable[[Engine], object]) -> Iterator[None]:
    """Call ``call(engine)`` whenever a run begins, in any thread, that is not inside another run of its thread.

    The engine is running, and its first transition follows. If `call` starts a recorder, it records this run and all
    runs inside it. An exception of `call` leaves `Engine.run`.
    """
    _before_runs.append(call)
    try:
        yield
    finally:
        _before_runs.remove(call)


def make_way(recorder: Recording) -> None:
    """Let the user's code replace `recorder`, and the recorders that it starts for nested runs."""
    _making_way.add(recorder)


def makes_way(recorder: Recording) -> bool:
    """Return True if the user's code may replace `recorder`."""
    return recorder in _making_way


def begin(engine: Engine) -> None:
    """Record the beginning of a run of `engine`, if it has a recorder or runs inside a recorded run."""
    if _before_runs and not run_ends.active_runs():
        for call in tuple(_before_runs):
            call(engine)
    recorders = _active.recorders
    while recorders and (recorders[-1][1].is_over or recorders[-1][0].holder() is None):
        recorders.pop()  # removed while its engine ran, or an exception ended the run without a call of `end`
    if engine._recorder is None and recorders:
        outer = recorders[-1][1]
        outer.record_nested(engine)
        if outer in _making_way and engine._recorder is not None:
            _making_way.add(engine._recorder)
    if engine._recorder is not None:
        recorders.append((engine._claim, engine._recorder))
        engine._recorder.begin()


def end(engine: Engine, error: BaseException | None) -> None:
    """Record the end of a run of `engine`, if it is recorded; `error` is the exception that ended it."""
    recorder = engine._recorder
    if recorder is not None and (engine._claim, recorder) in _active.recorders:
        _active.recorders.remove((engine._claim, recorder))
        recorder.end(error)
