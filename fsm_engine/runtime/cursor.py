"""Where a run is: all that a lifecycle's function needs to go on, apart from the `State` that users see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any

from fsm_engine._util.compiled_functions import CompiledFunction
from fsm_engine.graph.signals import Signal


class Outcome(str, Enum):
    """How a run ended. Equal to the plain string, so ``engine.outcome == "completed"`` reads well."""

    COMPLETED = "completed"
    TERMINATED = "terminated"
    INTERRUPTED = "interrupted"
    FAILED = "failed"

    def __str__(self) -> str:
        return self.value


IDLE_AT = 1
"""The position of an engine that is in IDLE: the first phase, entered."""


class Cursor:
    """The position of a run, what it waits for, and its open pass over the data.

    Positions are numbers: phase `k` of the graph is about to be entered at ``2 * k``; at ``2 * k + 1`` its
    handlers are through and its activity comes next. Pickling drops what belongs to the process: the open
    iterator, pending signals, the exception.
    """

    __slots__ = (
        "asked",
        "at",
        "attention",
        "batches",
        "bound",
        "broken",
        "callback",
        "data_state",
        "dry",
        "emitted_for",
        "ended",
        "ending",
        "epoch_clock",
        "epoch_start",
        "error",
        "exhausted",
        "failed",
        "finished",
        "function",
        "generators",
        "handled",
        "has_data",
        "left",
        "loaded",
        "loaded_part",
        "moves",
        "opened",
        "opened_with",
        "outcome",
        "pass_start",
        "passed",
        "reopens",
        "requests",
        "run_clock",
        "settled",
        "skip",
        "skip_completed",
        "skip_epoch_completed",
        "stepping",
        "stopped",
        "tried",
        "waiting",
    )

    _OF_THE_PROCESS = (
        "batches",
        "requests",
        "error",
        "ending",
        "broken",
        "handled",
        "attention",
        "function",
        "emitted_for",
        "bound",
        "moves",
        "passed",
        "settled",
        "waiting",
    )

    def __init__(self) -> None:
        self.at = IDLE_AT
        self.ended = 0  # the phase that the last run ended in
        self.outcome: Outcome | None = None
        self.callback: Any = None  # the callback event fired since the phase was entered
        self.run_clock = 0.0  # seconds of a clock while running, elapsed seconds while suspended
        self.epoch_clock = 0.0
        self.generators: Mapping[str, Any] | None = None  # what random generators are to go on from, once loaded
        self.finished = False  # what was loaded is a run at its end, which is not to be begun anew
        self.restart(has_data=False)
        self._reset_process()

    def restart(self, has_data: bool) -> None:
        """Stand before the first phase of a run."""
        self.left: int | None = None  # the position that an interrupt left: the history of the run scope
        self.failed: int | None = None  # the position that an error edge left last
        self.tried: frozenset[str] = frozenset()  # the error edges taken since a phase failed that is no recovery's
        self.loaded = False  # the run goes on from a state that was loaded
        self.stepping = IDLE_AT  # the position of the activity that fires phases
        self.epoch_start = 0  # state.iteration when this epoch began
        self.loaded_part = 0  # iterations of the next epoch that a loaded state has done already
        self.has_data = has_data
        self.batches: Iterator[Any] | None = None
        self.dry = False  # the data gave nothing when it was opened again
        self.exhausted = False  # the last fetch found the end
        self.pass_start = 0  # state.iteration when the open pass over the data began
        self.opened = 0  # how often this run has opened its data
        self.opened_with: dict[str, Any] | None = None  # what random generators stood at then, if that is kept
        self.reopens = False  # a pass that a loaded run was in is to be opened again
        self.data_state: dict[str, Any] | None = None  # where the data is to go on, if it can be told
        self.asked: dict[Signal, bool] = {}  # signals that were pending where a loaded run goes on
        self.skip = 0  # batches to skip when the data is opened next
        self.stopped = False  # TERMINATE was entered in this run
        self.skip_completed = False
        self.skip_epoch_completed = False

    @property
    def place(self) -> int:
        """The position that a run can go on from: where an interrupt or an error has left, or else where it is."""
        if self.left is not None:
            return self.left
        return self.at if self.broken is None else self.broken

    def _reset_process(self) -> None:
        self.batches = None
        self.requests: dict[Signal, bool] = {}  # to skip what follows; for INTERRUPT, to stop even in an iteration
        self.error: BaseException | None = None  # what is being left by, for those who are told
        self.ending: BaseException | None = None  # what EXCEPTION_RAISED was entered for
        self.broken: int | None = None  # the position that it was raised in
        self.handled = False  # a handler of EXCEPTION_RAISED has taken that
        self.function: CompiledFunction | None = (
            None  # what runs the graph, for what is observed; None when that changed
        )
        self.emitted_for: tuple[Any, ...] | None = None  # what else it was emitted for
        self.bound: list[Any] = []  # the objects that it refers to
        self.moves: dict[Any, Any] | None = None  # the phases that may be fired now; None while nothing may move
        self.passed: list[Any] = []  # the slots of the move under way whose handlers were called
        self.waiting: list[Callable[[Any], Any]] = []  # what is to be called when handlers are through
        self.settled = False  # they are, and that is being called
        self.attention = False  # a signal is pending, or what is observed has changed

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__ if name not in self._OF_THE_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._reset_process()
