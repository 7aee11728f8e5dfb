"""The recorders of the active runs of each thread: an engine that runs inside a recorded run is recorded, too."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

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

    def end(self) -> None:
        """Record the end of a run."""

    def record_nested(self, engine: Engine) -> None:
        """Record `engine`, whose run begins inside a recorded run."""


class _Active(threading.local):
    """The recorders of the runs active in this thread, the outermost run first."""

    def __init__(self) -> None:
        self.recorders: list[Recording] = []


_active = _Active()


def begin(engine: Engine) -> None:
    """Record the beginning of a run of `engine`, if it has a recorder or runs inside a recorded run."""
    recorders = _active.recorders
    while recorders and recorders[-1].is_over:  # removed while its engine ran
        recorders.pop()
    if engine._recorder is None and recorders:
        recorders[-1].record_nested(engine)
    if engine._recorder is not None:
        recorders.append(engine._recorder)
        engine._recorder.begin()


def end(engine: Engine) -> None:
    """Record the end of a run of `engine`, if it is recorded."""
    recorder = engine._recorder
    if recorder is not None and recorder in _active.recorders:
        _active.recorders.remove(recorder)
        recorder.end()
