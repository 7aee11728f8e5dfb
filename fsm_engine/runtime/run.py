"""`Run`: the data of a run, on which the packages below the engine work."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.positions import phase_at
from fsm_engine.runtime.claim import Claim
from fsm_engine.runtime.clocks import Clocks
from fsm_engine.runtime.cursor import Cursor
from fsm_engine.runtime.data_pass import DataPass
from fsm_engine.runtime.failure import Failure
from fsm_engine.runtime.length_agreement import LengthAgreement
from fsm_engine.runtime.pending_signals import PendingSignals
from fsm_engine.runtime.state import COUNTERS, State

PARTS = ("_cursor", "_clocks", "_signals", "_data_pass", "_failure")
"""The attributes of a `Run` that are its parts."""


class Run:
    """The base class of `Engine` with its data: the state, the position in the graph, the step and the logger.

    It has no loop and no handlers. Functions that need only this data take a `Run`, so they do not depend on the
    engine.
    """

    resumes_exactly = False

    _graph: Graph
    _step: Callable[[Any, Any], Any] | None
    _lengths: LengthAgreement | None

    def __init__(self) -> None:
        self._cursor = Cursor()
        self._clocks = Clocks()
        self._signals = PendingSignals()
        self._data_pass = DataPass()
        self._failure = Failure()
        self.state = State()
        self._claim = Claim()
        self._has_loaded_state = False
        self.state_dict_user_keys: list[str] = []
        self.logger = logging.getLogger(f"{type(self).__module__}.{type(self).__name__}")

    # `state` is an attribute because a property would double the cost of a small handler that reads it.
    # This method does not use self.__dict__, because that makes every later access to the engine's attributes slower.
    def __setattr__(self, name: str, value: Any) -> None:
        if name != "state":
            object.__setattr__(self, name, value)
            return
        replaced = getattr(self, "state", None)
        if not isinstance(value, State):
            raise TypeError(f"engine.state has to be a State, got {value!r}. Use fsm_engine.State(...).")
        object.__setattr__(self, name, value)
        if replaced is not None:
            mapped = replaced.event_to_attr
            value.map_events({event: attr for event, attr in mapped.items() if event not in COUNTERS})
            self._invalidate()

    @property
    def _state_dict_user_keys(self) -> list[str]:
        """The name of `state_dict_user_keys` in pytorch-ignite, for subclasses that were written for it."""
        return self.state_dict_user_keys

    @property
    def phase(self) -> Phase:
        """The phase that the run is in; IDLE when no run is active, INTERRUPT while a run is suspended.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> print(trainer.phase)
            IDLE
            >>> _ = trainer.add_event_handler(Events.EPOCH_STARTED, lambda: print(trainer.phase))
            >>> _ = trainer.run([1])
            EPOCH_STARTED
        """
        return self._graph.phases[phase_at(self._cursor.position)]

    @property
    def is_running(self) -> bool:
        """True from the beginning of `run` until it returns or raises.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> _ = trainer.add_event_handler(Events.STARTED, lambda: print(trainer.is_running))
            >>> _ = trainer.run([1])
            True
            >>> trainer.is_running
            False
        """
        return self._claim.holder() is not None

    @property
    def is_resuming(self) -> bool:
        """True at STARTED of a run that resumes from a loaded state.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> _ = trainer.add_event_handler(Events.STARTED, lambda: print(trainer.is_resuming))
            >>> trainer.load_state_dict({"epoch_length": 3, "iteration": 4, "max_epochs": 2})
            >>> _ = trainer.run([1, 2, 3])
            True
        """
        return self._cursor.is_loaded

    @property
    def position(self) -> int:
        """The position in the graph as a number; see `fsm_engine.graph.positions`."""
        return self._cursor.position

    @property
    def _resume_position(self) -> int:
        """The position to resume from: of the interrupt, of the failed activity, or else the current position."""
        if self._cursor.suspended_at is not None:
            return self._cursor.suspended_at
        failed = self._failure.failed_position
        return self._cursor.position if failed is None else failed

    @property
    def _process_function(self) -> Callable[[Any, Any], Any] | None:
        """The step, under the name of pytorch-ignite. Assigning another one makes it the step."""
        return self._step

    @_process_function.setter
    def _process_function(self, step: Callable[[Any, Any], Any]) -> None:
        self._replace_step(step)

    def _drop_step_values(self) -> None:
        """Drop the values of a step with parts, if a run has left it without completing it."""
        if self._graph.step_phases:
            self.state.drop_step_values()
            self._cursor.has_output, self._cursor.step_data = False, None

    def _restart(self, has_data: bool) -> None:
        """Reset the data of a run, except the clocks, for a new run."""
        self._drop_step_values()
        self._cursor.restart()
        self._signals.restart()
        self._data_pass.restart()
        self._failure.restart()
        self._data_pass.has_data = has_data

    @abstractmethod
    def _replace_step(self, step: Callable[[Any, Any], Any]) -> None:
        """Run `step` from now on."""

    @abstractmethod
    def _invalidate(self) -> None:
        """Discard data that depends on the state, the handlers and the graph, after one of them changed."""

    @abstractmethod
    def _open_pass(self, data: Any, start: int, skip: int) -> Iterator[Any]:
        """Return an iterator over `data` from batch `skip` on; `start` is the iteration at which the pass began."""
