"""`Cursor`: the position of a run in its graph, and the outcome of the run."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from fsm_engine.graph.positions import IDLE_POSITION
from fsm_engine.runtime.part import Part


class Outcome(str, Enum):
    """How a run ended. Equal to the plain string: ``engine.outcome == "completed"``.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> _ = trainer.run([1, 2], until=Events.EPOCH_STARTED)
        >>> trainer.outcome is Outcome.INTERRUPTED, trainer.outcome == "interrupted"
        (True, True)
    """

    COMPLETED = "completed"
    TERMINATED = "terminated"
    INTERRUPTED = "interrupted"
    FAILED = "failed"

    def __str__(self) -> str:
        return self.value


class Place(NamedTuple):
    """A place of a run from which another process can resume it.

    Attributes:
        position: the position in the lifecycle and in the data, as plain data.
        is_in_iteration: True if the step of the current iteration has not run.
        needs_batch: True if a step is still to use the current batch.
        keeps_batch: True if the current batch is saved if it is plain data.
        generators: the states of the RNGs.
        fire_counts: how often each event had been fired.
    """

    position: dict[str, Any]
    is_in_iteration: bool
    needs_batch: bool
    keeps_batch: bool
    generators: Mapping[str, Any]
    fire_counts: dict[str, int]


class Cursor(Part):
    """The position of a run, and the values on which its next moves depend.

    Attributes:
        position: the position in the graph; see `fsm_engine.graph.positions`.
        callback_event: the callback event that was fired since the phase was entered, if any.
        moves: the phases that an activity can fire from here; None while no phase can be fired.
        last_phase: the number of the phase in which the last run ended.
        outcome: how the last run ended, or, once it is decided, how the current run ends; otherwise None.
        loaded_end: how the loaded run had ended; None if it had not, or if no state was loaded. A run that had
            completed ends at once when it is run again, unless limits change.
        stop: the place at which the run was terminated, if the run `resumes_exactly`.
        suspended_at: the position at which the run was interrupted; the history of the run scope.
        activity_position: the position of the activity that fires phases.
        is_loaded: True at STARTED of a run that resumes from a loaded state.
        epoch_start: ``state.iteration`` at the beginning of the epoch.
        epoch_is_open: True from EPOCH_STARTED until EPOCH_COMPLETED or TERMINATE_SINGLE_EPOCH.
        loaded_progress: from a loaded state dict, the progress that its other keys do not determine.
        loaded_iterations: the number of iterations of the next epoch that a loaded run has already done.
        is_terminated: True after the run has entered TERMINATE.
        skip_completed: True if `terminate` was called with the request to skip COMPLETED.
        has_output: True if a part of the current step has set the output.
        step_data: values that a step keeps from one of its parts to the next, besides those on the state.
        skip_epoch_completed: True if `terminate_epoch` was called with the request to skip EPOCH_COMPLETED.
        terminated_epoch: the number of the epoch that `terminate_epoch` ended last; None before.
    """

    __slots__ = (
        "activity_position",
        "callback_event",
        "epoch_is_open",
        "epoch_start",
        "has_output",
        "is_loaded",
        "is_terminated",
        "last_phase",
        "loaded_end",
        "loaded_iterations",
        "loaded_progress",
        "moves",
        "outcome",
        "position",
        "skip_completed",
        "skip_epoch_completed",
        "step_data",
        "stop",
        "suspended_at",
        "terminated_epoch",
    )
    PROCESS = frozenset({"moves", "has_output", "step_data"})
    SAVED = (
        "epoch_start",
        "epoch_is_open",
        "loaded_iterations",
        "is_terminated",
        "skip_completed",
        "skip_epoch_completed",
    )

    def __init__(self) -> None:
        self.position = IDLE_POSITION
        self.callback_event: Any = None
        self.last_phase = 0
        self.outcome: Outcome | None = None
        self.loaded_progress: Mapping[str, int] | None = None
        self.loaded_end: Outcome | None = None
        super().__init__()

    def restart(self) -> None:
        """Reset the attributes of one run. The position, the outcome and the last phase do not change."""
        self.suspended_at: int | None = None
        self.stop: Place | None = None
        self.activity_position = IDLE_POSITION
        self.is_loaded = False
        self.epoch_start = 0
        self.epoch_is_open = False
        self.loaded_iterations = 0
        self.is_terminated = False
        self.skip_completed = False
        self.skip_epoch_completed = False
        self.terminated_epoch: int | None = None

    def reset_process(self) -> None:
        """Reset `moves`, so that no phase can be fired, and drop the values of the step."""
        self.moves: dict[Any, Any] | None = None
        self.has_output = False
        self.step_data: Any = None
