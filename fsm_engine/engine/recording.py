"""Which engine records into which timeline, per thread: so an engine that runs inside another joins its timeline."""

from __future__ import annotations

import threading
from typing import Any, Protocol


class Recording(Protocol):
    """What the engine asks of a recorder."""

    @property
    def is_over(self) -> bool:
        """Whether the recorder was removed."""
        ...

    def begin(self) -> None:
        """Record the beginning of a run."""

    def end(self) -> None:
        """Record the end of a run."""

    def invite(self, engine: Any) -> None:
        """Record `engine`, whose run begins inside a recorded run."""


class _Running(threading.local):
    """The recorders of the engines that are running in this thread, the outermost first."""

    def __init__(self) -> None:
        self.recorders: list[Recording] = []


_running = _Running()


def begin(engine: Any) -> None:
    """Take note that a run of `engine` begins; one inside a run that is recorded is recorded with it."""
    recorders = _running.recorders
    while recorders and recorders[-1].is_over:  # removed while its engine ran
        recorders.pop()
    if engine._recorder is None and recorders:
        recorders[-1].invite(engine)
    if engine._recorder is not None:
        recorders.append(engine._recorder)
        engine._recorder.begin()


def end(engine: Any) -> None:
    """Take note that a run of `engine` has ended, one way or another."""
    recorder = engine._recorder
    if recorder is not None and recorder in _running.recorders:
        _running.recorders.remove(recorder)
        recorder.end()
