"""The base class of the profilers: it measures the calls of handlers, the step and the wait for data as they end.

It does not read a recorded timeline: a call that is written into a track and added up later costs three times as much.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from fsm_engine.dispatch.entries import Handler, HandlerEntry
from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.dispatch.observers import Observer
from fsm_engine.events.events import Events
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import Transition
from fsm_engine.handlers.profilers.durations import Durations
from fsm_engine.handlers.weak_engine import WeakEngine
from fsm_engine.lifecycle.bounds import SCOPE_BOUNDS
from fsm_engine.runtime.state import State
from fsm_engine.timeline.arguments import check_positive_integer

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

CAPACITY = 100_000
"""The default number of durations of one thing that a profiler keeps."""

FETCH, FETCHED = Events.GET_BATCH_STARTED, Events.GET_BATCH_COMPLETED
STEP, STEPPED = SCOPE_BOUNDS[Scope.ITERATION]
BEGINNINGS = {FETCHED: FETCH, STEPPED: STEP}
"""By event that ends the wait for data or the step, the event whose activity it is."""

Measure = Callable[[int, State], bool]


class Visit:
    """The last visit of a phase.

    Attributes:
        entered: when the phase was entered, in nanoseconds.
        ready: when its last handler ended; the same as `entered` before that.
        is_open: whether the visit is not counted yet.
    """

    __slots__ = ("entered", "is_open", "ready")

    def __init__(self) -> None:
        self.entered = self.ready = perf_counter_ns()
        self.is_open = True


class TimeProfiler(ABC):
    """Profiles the runs of one engine. A new run starts from zero; a run that is resumed does not.

    Args:
        capacity: the number of durations of one thing to keep for `write_results`, at 8 bytes each. Totals and other
            statistics are of all durations of the run.

    Raises:
        ValueError: `capacity` is not a positive integer.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        check_positive_integer("capacity", capacity, "the number of durations of one thing to keep")
        self._capacity = capacity
        self._engine = WeakEngine(None)
        self._durations: list[Durations] = []
        self._step, self._data = self._new_durations(), self._new_durations()
        self._visits: dict[Any, Visit] = {}
        self._graphs: list[Graph] = []  # keeps the transitions alive whose ids are keys below
        self._moves: dict[int, tuple[Measure | None, Visit]] = {}  # with the visit of the target

    def attach(self, engine: Engine) -> None:
        """Profile the runs of `engine` from now on. A second call with the same engine does nothing.

        Raises:
            TypeError: `engine` is not an engine.
            ValueError: this profiler is attached to another engine.
        """
        if not isinstance(engine, EventDispatcher):
            raise TypeError(f"Argument engine should be fsm_engine.Engine, but given {type(engine)}.")
        attached = self._engine()
        if attached is engine:
            return
        if attached is not None:
            raise ValueError("This profiler is attached to another engine. Create a profiler for each engine.")
        self._engine = WeakEngine(engine)
        engine._observers.add(engine, self._observer(), is_trusted=True)
        engine._wrap_handlers(self._timed, True)

    def _new_durations(self) -> Durations:
        self._durations.append(durations := Durations(self._capacity))
        return durations

    def _visit(self, event: Any) -> Visit:
        return self._visits.setdefault(event, Visit())

    def _observer(self) -> Observer:
        moves, learn, visits, now = self._moves.get, self._learn, self._visit, perf_counter_ns

        def observe(engine: Engine, transition: Transition) -> None:
            time = now()
            move = moves(id(transition)) or learn(engine.lifecycle.graph, transition)
            if move is None:  # the run returns to a phase, whose handlers are not called again
                visit = visits(transition.target)
                visit.entered, visit.ready = time - (visit.ready - visit.entered), time
                return
            measure, visit = move
            if measure is not None and measure(time, engine.state):
                time = now()  # the update counts as nothing
            visit.entered = visit.ready = time
            visit.is_open = True

        return observe

    def _learn(self, graph: Graph, transition: Transition) -> tuple[Measure | None, Visit] | None:
        """Return the measure and the target of a transition; None for a history, which is a new object each time."""
        if graph not in self._graphs:
            self._graphs.append(graph)
            for exits in graph.exits:
                for exit_ in exits:
                    starts = exit_.signal is Signal.RUN and exit_.source == graph.phases[0].event
                    measure = self._clear if starts else self._measure(exit_.source, exit_.target)
                    self._moves[id(exit_)] = measure, self._visit(exit_.target)
        return self._moves.get(id(transition))

    def _timed(self, entry: HandlerEntry, handler: Handler, alone: bool) -> Handler:
        """Return a function that calls `handler`, and takes its time; `alone`: the engine is the only argument."""
        visit, add, now = self._visit(entry.event), self._call_adder(entry), perf_counter_ns

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = now()
            try:
                return handler(*args, **kwargs)
            finally:
                visit.ready = end = now()
                add(end - start)

        def timed_alone(engine: Any) -> None:
            start = now()
            try:
                handler(engine)
            finally:
                visit.ready = end = now()
                add(end - start)

        return timed_alone if alone else timed

    def _clear(self, _time: int, _state: State) -> bool:
        for durations in self._durations:
            durations.clear()
        return False

    def _update(self) -> None:
        for durations in self._durations:
            durations.update()

    def _update_if_full(self) -> bool:
        is_full = len(self._step.kept) >= 2 * self._capacity
        if is_full:
            self._update()
        return is_full

    @abstractmethod
    def _measure(self, source: Any, target: Any) -> Measure | None:
        """Return a function that measures the end of an activity or of a visit in a move; None if neither ends.

        The function takes the time and the state, and returns whether it updated the statistics.
        """

    @abstractmethod
    def _call_adder(self, entry: HandlerEntry) -> Callable[[int], object]:
        """Return a function that adds the duration of a call of the handler of `entry`."""
