"""`Gate`: may hold a recorded run after a move, and hears of its beginning and end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from fsm_engine.graph.transitions import Transition

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine
    from fsm_engine.timeline.recorder import Recorder


class Gate(Protocol):
    """Called by a recorder in the thread of the run. Its methods raise no exception.

    Attributes:
        wanted: whether `stop` is to be called after the next move.
    """

    wanted: bool

    def add(self, recorder: Recorder, engine: Engine) -> None:
        """Note that `recorder` begins to record `engine`: the first engine, or one that runs inside a recorded run."""

    def begin(self, engine: Engine) -> None:
        """Note that a run of `engine` begins or resumes."""

    def stop(self, engine: Engine, transition: Transition) -> None:
        """Execute commands, or hold the run, between the move of `transition` and the entry actions of its target."""

    def end(self, engine: Engine, error: BaseException | None) -> None:
        """Note that a run of `engine` has ended or is suspended; `error` is the exception that ended it."""
