"""Writes the moves of an engine and the calls of its handlers into a track.

`TrackWriter` builds the two functions that a run calls. Both store into the rings of the track directly.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from fsm_engine.dispatch.entries import Handler, HandlerEntry
from fsm_engine.engine.explain import name_of_handler, source_place
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.timeline.track import MOVE, SPAN, HandlerRef, Kind, Track

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

MoveObserver = Callable[[Any, Transition], None]


class TrackWriter:
    """Writes into `track` until `close` is called.

    The kinds of all moves of a graph are numbered when its first move is written, so that a later move costs one
    look-up by the id of its transition.
    """

    def __init__(self, track: Track) -> None:
        self._track = track
        self._graphs: list[Graph] = []  # keeps the transitions alive whose ids are keys below
        self._numbers: dict[int, int] = {}  # from the id of a transition to the number of its kind
        self._cut_numbers: dict[int, int] = {}  # the same for moves after which an iteration is left out
        self._is_closed = False

    def close(self) -> None:
        """Write no more moves."""
        self._is_closed = True
        self._numbers.clear()
        self._cut_numbers.clear()

    def learn(self, graph: Graph) -> bool:
        """Number the kinds of all moves of `graph`. Return False if that was done before."""
        if graph in self._graphs:
            return False
        self._graphs.append(graph)
        for exits in graph.exits:
            for transition in exits:
                if not isinstance(transition.target, History):
                    self._numbers[id(transition)] = self._number(graph, transition)
        return True

    def write(self, engine: Engine, kind: Kind, time: int | None = None) -> None:
        """Write a move of `kind`, at the present time unless `time` is given."""
        state, when = engine.state, perf_counter_ns() if time is None else time
        epoch, iteration = fitting(state.epoch, 32), fitting(state.iteration, 64)
        self._track.move_ring.add(when, self._track.number(kind), epoch, iteration)

    def timed(self, entry: HandlerEntry, handler: Handler, alone: bool) -> Handler:
        """Return a function that calls `handler` and writes when the call began and ended.

        Args:
            entry: the entry of the handler.
            handler: the function to call: the attached handler, or a wrapper of it.
            alone: whether the engine is the only argument of every call, for which a faster function is returned.
        """
        number = self._track.number_of_handler(handler_ref(entry))
        return self._timed_alone(handler, number) if alone else self._timed(handler, number)

    def _timed(self, handler: Handler, number: int) -> Handler:
        ring, pack, now = self._track.span_ring, SPAN.pack_into, perf_counter_ns
        block, size, last = ring.block, SPAN.size, len(ring.block) - SPAN.size

        def timed(*args: Any, **kwargs: Any) -> Any:
            raised = 1
            start = now()
            try:
                value = handler(*args, **kwargs)
                raised = 0
                return value
            finally:
                at = ring.at
                pack(block, at, start, now(), number, raised)
                if at == last:
                    ring.at, ring.laps = 0, ring.laps + 1
                else:
                    ring.at = at + size

        return timed

    def _timed_alone(self, handler: Handler, number: int) -> Handler:
        ring, pack, now = self._track.span_ring, SPAN.pack_into, perf_counter_ns
        block, size, last = ring.block, SPAN.size, len(ring.block) - SPAN.size

        def timed(engine: Any) -> None:
            raised = 1
            start = now()
            try:
                handler(engine)
                raised = 0
            finally:
                at = ring.at
                pack(block, at, start, now(), number, raised)
                if at == last:
                    ring.at, ring.laps = 0, ring.laps + 1
                else:
                    ring.at = at + size

        return timed

    def move_observer(self, is_cut: bool = False) -> MoveObserver:
        """Return an observer that writes each move.

        Args:
            is_cut: whether an iteration that is left out follows each of these moves.
        """
        numbers = self._cut_numbers if is_cut else self._numbers
        ring, now, pack = self._track.move_ring, perf_counter_ns, MOVE.pack_into
        block, size, last = ring.block, MOVE.size, len(ring.block) - MOVE.size

        def move(engine: Any, transition: Transition) -> None:
            time, state, at = now(), engine.state, ring.at
            number = numbers.get(id(transition))
            if number is None:
                if self._is_closed:
                    return
                number = self._new_number(engine.lifecycle.graph, transition, is_cut)
            try:
                pack(block, at, time, number, state.epoch, state.iteration)
            except Exception:  # the user has set a counter to a value that does not fit
                pack(block, at, time, number, fitting(state.epoch, 32), fitting(state.iteration, 64))
            if at == last:
                ring.at, ring.laps = 0, ring.laps + 1
            else:
                ring.at = at + size

        return move

    def _new_number(self, graph: Graph, transition: Transition, is_cut: bool) -> int:
        self.learn(graph)
        number = self._number(graph, transition, is_cut)
        if (
            id(transition) in self._numbers
        ):  # else it is a history with the phase that it returns to, made for this move
            (self._cut_numbers if is_cut else self._numbers)[id(transition)] = number
        return number

    def _number(self, graph: Graph, transition: Transition, is_cut: bool = False) -> int:
        source, target = (graph.phases[graph.index[end]] for end in (transition.source, transition.target))  # type: ignore[index]
        trigger = "run" if transition.signal is Signal.RUN else transition.trigger.value
        kind = Kind(
            qualified_name(source),
            transition.label,
            qualified_name(target),
            scope_names(source.scope),
            scope_names(target.scope),
            trigger,
            bool(transition.error),
            is_cut,
        )
        return self._track.number(kind)


def handler_ref(entry: HandlerEntry) -> HandlerRef:
    """Return the names under which a timeline keeps the handler of `entry`."""
    return HandlerRef(name_of_handler(entry.handler), str(entry.event), source_place(entry.handler))


def scope_names(scope: Scope | None) -> tuple[str, ...]:
    """Return the names of `scope` and the scopes around it, outermost first."""
    return () if scope is None else tuple(map(str, scope.path))


def fitting(value: Any, bits: int) -> int:
    """Return `value` if it is a signed integer of that many bits, else -1."""
    return value if isinstance(value, int) and value.bit_length() < bits else -1
