"""Writes the moves of an engine and the calls of its handlers into a track.

`TrackWriter` builds the functions that a run calls. They store into the rings of the track directly.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from fsm_engine.dispatch.entries import Handler, HandlerEntry
from fsm_engine.engine.engine import Engine
from fsm_engine.engine.explain import name_of_handler, source_place
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.timeline.track import MOVE, SPAN, HandlerRef, MoveKind, Track

MoveObserver = Callable[[Any, Transition], None]


class TrackWriter:
    """Writes into `track` until `close` is called.

    The kinds of all moves of a graph get their numbers when the graph is learned, so that a move costs one look-up by
    the id of its transition.
    """

    def __init__(self, track: Track) -> None:
        self._track = track
        self._graphs: list[Graph] = []  # keeps the transitions alive whose ids are keys below
        self._numbers: dict[int, int] = {}  # from the id of a transition to the number of its kind
        self._gap_numbers: dict[int, int] = {}  # the same for moves that start a gap
        self._is_closed = False

    def close(self) -> None:
        """Write no more moves."""
        self._is_closed = True
        self._numbers.clear()
        self._gap_numbers.clear()

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

    def write(self, engine: Engine, kind: MoveKind, time: int | None = None) -> None:
        """Write a move of `kind`, at the present time unless `time` is given."""
        state, when = engine.state, perf_counter_ns() if time is None else time
        epoch, iteration = fitting(state.epoch, 32), fitting(state.iteration, 64)
        self._track.move_ring.add(when, self._track.kind_number(kind), epoch, iteration)

    def timed(self, entry: HandlerEntry, handler: Handler, engine_only: bool) -> Handler:
        """Return a function that calls `handler` and writes when the call began and ended.

        Args:
            entry: the entry of the handler.
            handler: the function to call: the handler of `entry`, or a wrapper of it.
            engine_only: whether every call has the engine as its only argument.
        """
        ref = HandlerRef(name_of_handler(entry.handler), str(entry.event), source_place(entry.handler))
        number = self._track.handler_number(ref)
        return self._timed_engine_only(handler, number) if engine_only else self._timed(handler, number)

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
                offset = ring.offset
                pack(block, offset, start, now(), number, raised)
                if offset == last:
                    ring.offset, ring.laps = 0, ring.laps + 1
                else:
                    ring.offset = offset + size

        return timed

    def _timed_engine_only(self, handler: Handler, number: int) -> Handler:
        """Return the function for calls with the engine alone: *args and **kwargs would add 80 ns to 250 ns."""
        ring, pack, now = self._track.span_ring, SPAN.pack_into, perf_counter_ns
        block, size, last = ring.block, SPAN.size, len(ring.block) - SPAN.size

        def timed(engine: Any) -> None:
            raised = 1
            start = now()
            try:
                handler(engine)
                raised = 0
            finally:
                offset = ring.offset
                pack(block, offset, start, now(), number, raised)
                if offset == last:
                    ring.offset, ring.laps = 0, ring.laps + 1
                else:
                    ring.offset = offset + size

        return timed

    def move_observer(self, starts_gap: bool = False) -> MoveObserver:
        """Return an observer that writes each move.

        Args:
            starts_gap: whether the iteration after each of these moves is not recorded.
        """
        numbers = self._gap_numbers if starts_gap else self._numbers
        ring, now, pack = self._track.move_ring, perf_counter_ns, MOVE.pack_into
        block, size, last = ring.block, MOVE.size, len(ring.block) - MOVE.size

        def write_move(engine: Any, transition: Transition) -> None:
            time, state, offset = now(), engine.state, ring.offset
            number = numbers.get(id(transition))
            if number is None:
                if self._is_closed:
                    return
                number = self._new_number(engine.lifecycle.graph, transition, starts_gap)
            try:
                pack(block, offset, time, number, state.epoch, state.iteration)
            except Exception:  # the user has set a counter to a value that does not fit
                pack(block, offset, time, number, fitting(state.epoch, 32), fitting(state.iteration, 64))
            if offset == last:
                ring.offset, ring.laps = 0, ring.laps + 1
            else:
                ring.offset = offset + size

        return write_move

    def _new_number(self, graph: Graph, transition: Transition, starts_gap: bool) -> int:
        self.learn(graph)
        number = self._number(graph, transition, starts_gap)
        if id(transition) in self._numbers:  # else a history, which the engine resolves to a new transition each time
            (self._gap_numbers if starts_gap else self._numbers)[id(transition)] = number
        return number

    def _number(self, graph: Graph, transition: Transition, starts_gap: bool = False) -> int:
        source, target = (graph.phases[graph.index[end]] for end in (transition.source, transition.target))  # type: ignore[index]
        trigger = "run" if transition.signal is Signal.RUN else transition.trigger.value
        kind = MoveKind(
            qualified_name(source),
            transition.label,
            qualified_name(target),
            scope_names(source.scope),
            scope_names(target.scope),
            trigger,
            bool(transition.error),
            starts_gap,
        )
        return self._track.kind_number(kind)


def scope_names(scope: Scope | None) -> tuple[str, ...]:
    """Return the names of `scope` and the scopes around it, outermost first."""
    return () if scope is None else tuple(map(str, scope.path))


def fitting(value: Any, bits: int) -> int:
    """Return `value` if it is a signed integer of that many bits, else -1."""
    return value if isinstance(value, int) and value.bit_length() < bits else -1
