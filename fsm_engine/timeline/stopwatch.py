"""Takes the times of a run as it goes on: what profilers are made of.

It is told of moves as a recorder is, and stands in for handlers as a recorder does. It keeps no moves, only the times
that a profiler asks for.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from fsm_engine.dispatch.entries import Handler, HandlerEntry
from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.events.events import Events
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition
from fsm_engine.lifecycle.bounds import SCOPE_BOUNDS
from fsm_engine.timeline.durations import Durations

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

FETCH, FETCHED = Events.GET_BATCH_STARTED, Events.GET_BATCH_COMPLETED
STEP, STEPPED = SCOPE_BOUNDS[Scope.ITERATION]

ROOM = 100_000
"""How many durations of the same thing a profiler keeps unless told otherwise."""


class Visited:
    """The last visit of a phase.

    Attributes:
        entered: when the run came to it.
        through: when its handlers were through, so its activity began; when it was entered, if it has none.
        is_new: whether it has not been left since. A run that is suspended leaves a phase, and comes back to it.
    """

    __slots__ = ("entered", "is_new", "through")

    def __init__(self) -> None:
        self.entered = self.through = perf_counter_ns()
        self.is_new = True

    @property
    def in_handlers(self) -> int:
        """How long its handlers took, in nanoseconds."""
        return self.through - self.entered

    def enter_again(self, time: int) -> None:
        """Come back by way of history: handlers are not called again, and the time away does not count."""
        self.entered, self.through = time - self.in_handlers, time


class Stopwatch(ABC):
    """A profiler of one engine, for all its runs from now on; a new run starts from zero, one that goes on does not.

    Args:
        room: how many durations of the same thing are kept for `write_results`, at 8 bytes each: the newest. Totals
            and other statistics are of all of them, so that the memory of a long run is bounded.

    Raises:
        ValueError: no room.
    """

    def __init__(self, room: int = ROOM) -> None:
        if not isinstance(room, int) or isinstance(room, bool) or room < 1:
            raise ValueError(f"room={room!r} has to be a positive integer: how many durations are kept of each thing.")
        self._room = room
        self._engine: Callable[[], Engine | None] = _nobody
        self._visited: dict[Any, Visited] = {}
        self._graphs: list[Graph] = []  # they keep the transitions alive whose ids are known
        self._known: dict[int, Callable[[int, Any], None]] = {}  # what a transition means, by its id

    def attach(self, engine: Engine) -> None:
        """Measure the runs of `engine` from now on; attached to the same engine again, nothing happens.

        Raises:
            TypeError: if it is no engine.
            ValueError: if this profiler is attached to another one.
        """
        if not isinstance(engine, EventDispatcher):
            raise TypeError(f"Argument engine should be fsm_engine.Engine, but given {type(engine)}.")
        attached = self._engine()
        if attached is engine:
            return
        if attached is not None:
            raise ValueError("this profiler is attached to another engine. Make one for each.")
        self._engine = weakref.ref(engine)
        engine._observers.add(engine, self._move, is_trusted=True)
        engine._wrap_handlers(self._around, True)

    def _move(self, engine: Engine, transition: Transition) -> None:
        time = perf_counter_ns()
        act = self._known.get(id(transition))
        if act is None:
            act = self._unknown(engine.lifecycle.graph, transition)
        act(time, engine)

    def _unknown(self, graph: Graph, transition: Transition) -> Callable[[int, Any], None]:
        if graph not in self._graphs:
            self._graphs.append(graph)
            self._known.update({id(exit_): self._meaning(graph, exit_) for exits in graph.exits for exit_ in exits})
        return self._known.get(id(transition)) or self._back(transition)  # history leads along a transition made anew

    def _back(self, transition: Transition) -> Callable[[int, Any], None]:
        visited = self._of(transition.target)

        def come_back(time: int, _engine: Any) -> None:
            visited.enter_again(time)

        return come_back

    def _meaning(self, graph: Graph, transition: Transition) -> Callable[[int, Any], None]:
        if isinstance(transition.target, History):
            return self._back(transition)
        if transition.signal is Signal.RUN and transition.source == graph.phases[0].event:
            return self._starting(self._of(transition.target))
        return self._moving(transition, self._of(transition.target))

    def _starting(self, target: Visited) -> Callable[[int, Any], None]:
        def start(time: int, _engine: Any) -> None:
            for durations in self._durations():
                durations.clear()
            target.entered = target.through = time
            target.is_new = True

        return start

    def _of(self, event: Any) -> Visited:
        return self._visited.setdefault(event, Visited())

    def _forget_old(self) -> None:
        for durations in self._durations():
            durations.keep(self._room)

    @abstractmethod
    def _durations(self) -> Iterable[Durations]:
        """Return everything that is measured."""

    @abstractmethod
    def _moving(self, transition: Transition, target: Visited) -> Callable[[int, Any], None]:
        """Return what is done when the run moves along `transition`; it has to take note that `target` is entered."""

    @abstractmethod
    def _around(self, attachment: HandlerEntry, handler: Handler, alone: bool) -> Handler:
        """Return what stands in for `handler`; it has to take note when that is through.

        With `alone` it is only ever called with the engine.
        """


def _nobody() -> None:
    return None
