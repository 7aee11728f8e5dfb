"""Records what an engine does into a track: a few hundred nanoseconds per move, and per call of a handler."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from fsm_engine.cursor import Outcome, Signal
from fsm_engine.explain import name_of_handler, place_of
from fsm_engine.graph import Graph, Transition
from fsm_engine.registry import Attachment, Handler
from fsm_engine.scopes import Scope
from fsm_engine.timeline.ranges import Ranges
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import MOVE, SPAN, Called, Kind, Track
from fsm_engine.views import qualified

if TYPE_CHECKING:
    from fsm_engine.engine import Engine


class Recorder:
    """Ends with `remove()`, or as a context manager, which gives the timeline. It does not keep the engine alive.

    Attributes:
        timeline: what is recorded into.
        track: the part of it that is this engine's.
        handlers: whether calls of handlers are recorded.
        is_over: whether it records no more.
    """

    def __init__(self, engine: Engine, timeline: Timeline, handlers: bool, profile: bool = False) -> None:
        self.timeline, self.handlers, self.is_over = timeline, handlers, False
        self.track = Track(engine.lifecycle.name, threading.current_thread().name, timeline.room)
        self._engine = weakref.ref(engine)
        self._graphs: list[Graph] = []  # they keep the transitions alive whose ids are known
        self._known: dict[int, int] = {}  # the number of a transition's kind, by its id
        self._guests: list[Recorder] = []
        self._ranges = Ranges() if profile else None
        timeline.tracks.append(self.track)
        self._observation = engine._observers.add(engine, self._mover(), is_trusted=True)
        self._following = engine.observe(self._ranges.follow) if self._ranges is not None else None
        engine._recorder = self
        engine._measure(self.around, handlers)

    def __enter__(self) -> Timeline:
        return self.timeline

    def __exit__(self, *error: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Record no more; nothing happens if that is so already."""
        self.is_over = True
        self._known.clear()
        self._observation.remove()
        if self._following is not None and self._ranges is not None:
            self._following.remove()
            self._ranges.close()
        for guest in self._guests:
            guest.remove()
        engine = self._engine()
        if engine is not None and engine._recorder is self:
            engine._recorder = None
            engine._measure(self.around, False)

    def invite(self, engine: Engine) -> None:
        """Record an engine that runs inside a run of this one, for as long as this one is recorded."""
        self._guests.append(Recorder(engine, self.timeline, self.handlers, self._ranges is not None))

    def begin(self) -> None:
        """Take note that a run begins."""
        engine = self._engine()
        assert engine is not None
        if not len(self.track.move_ring):
            self.track.thread = threading.current_thread().name
        graph = engine.lifecycle.graph
        if graph not in self._graphs:
            self._graphs.append(graph)
            for exits in graph.exits:
                for transition in exits:
                    self._known[id(transition)] = self._number(graph, transition)

    def end(self) -> None:
        """Take note that a run has ended; one that was suspended rests where it is."""
        engine = self._engine()
        assert engine is not None
        if self._ranges is not None:
            self._ranges.close()
        if engine.outcome is not Outcome.INTERRUPTED:
            return
        phase, state = engine.phase, engine.state
        name, scopes = qualified(phase), _names(phase.scope)
        number = self.track.number(Kind(name, "", name, scopes, scopes, "rest"))
        self.track.move_ring.add(perf_counter_ns(), number, _small(state.epoch), _large(state.iteration))

    def around(self, attachment: Attachment, handler: Handler, alone: bool) -> Handler:
        """Return `handler`, which `attachment` attached, made to record when it is called and for how long.

        With `alone` it is only ever called with the engine, which is quicker.
        """
        called = Called(name_of_handler(attachment.handler), str(attachment.event), place_of(attachment.handler))
        timed = self._timed_alone if alone else self._timed
        return timed(handler, self.track.number_called(called))

    def _timed(self, handler: Handler, number: int) -> Handler:
        ring, pack, now = self.track.span_ring, SPAN.pack_into, perf_counter_ns
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
        ring, pack, now = self.track.span_ring, SPAN.pack_into, perf_counter_ns
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

    def _mover(self) -> Callable[[Any, Transition], None]:
        ring, known, now, pack = self.track.move_ring, self._known, perf_counter_ns, MOVE.pack_into
        block, size, last = ring.block, MOVE.size, len(ring.block) - MOVE.size

        def move(engine: Any, transition: Transition) -> None:
            time, state, at = now(), engine.state, ring.at
            number = known.get(id(transition))
            if number is None:
                if self.is_over:
                    return
                number = self._number(engine.lifecycle.graph, transition)
            try:
                pack(block, at, time, number, state.epoch, state.iteration)
            except Exception:  # counters that the user has set to something else
                pack(block, at, time, number, _small(state.epoch), _large(state.iteration))
            if at == last:
                ring.at, ring.laps = 0, ring.laps + 1
            else:
                ring.at = at + size

        return move

    def _number(self, graph: Graph, transition: Transition) -> int:
        source, target = transition.source, transition.target
        here = graph.phases[graph.index[source]]  # type: ignore[index]
        there = None if isinstance(target, Scope) else graph.phases[graph.index[target]]
        kind = Kind(
            qualified(here),
            transition.label,
            str(target) if there is None else qualified(there),
            _names(here.scope),
            _names(target if isinstance(target, Scope) else there.scope),  # type: ignore[union-attr]
            "run" if transition.signal is Signal.RUN else transition.trigger.value,
            bool(transition.error),
        )
        return self.track.number(kind)


def _names(scope: Scope | None) -> tuple[str, ...]:
    return () if scope is None else tuple(map(str, scope.path))


def _small(value: Any) -> int:
    return value if isinstance(value, int) and -(2**31) <= value < 2**31 else -1


def _large(value: Any) -> int:
    return value if isinstance(value, int) and -(2**63) <= value < 2**63 else -1
