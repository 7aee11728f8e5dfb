"""The recorders of the active runs of each thread: an engine that runs inside a recorded run is recorded, too."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

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

    def end(self) -> None:
        """Record the end of a run."""

    def record_nested(self, engine: Engine) -> None:
        """Record `engine`, whose run begins inside a recorded run."""


class _Active(threading.local):
    """The recorders of the runs active in this thread, and the claims of these runs, the outermost run first."""

    def __init__(self) -> None:
        self.recorders: list[tuple[Claim, Recording]] = []


_active = _Active()


def begin(engine: Engine) -> None:
    """Record the beginning of a run of `engine`, if it has a recorder or runs inside a recorded run."""
    recorders = _active.recorders
    while recorders and (recorders[-1][1].is_over or recorders[-1][0].holder() is None):
        recorders.pop()  # removed while its engine ran, or an exception ended the run without a call of `end`
    if engine._recorder is None and recorders:
        recorders[-1][1].record_nested(engine)
    if engine._recorder is not None:
        recorders.append((engine._claim, engine._recorder))
        engine._recorder.begin()


def end(engine: Engine) -> None:
    """Record the end of a run of `engine`, if it is recorded."""
    recorder = engine._recorder
    if recorder is not None and (engine._claim, recorder) in _active.recorders:
        _active.recorders.remove((engine._claim, recorder))
        recorder.end()
