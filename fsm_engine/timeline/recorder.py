"""Records what an engine does into a track: a few hundred nanoseconds per move, and per call of a handler."""

from __future__ import annotations

import threading
import weakref
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from fsm_engine.dispatch.entries import Handler, HandlerEntry
from fsm_engine.engine.explain import name_of_handler, source_place
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.runtime.cursor import Outcome
from fsm_engine.timeline.device import Device, DeviceClock
from fsm_engine.timeline.ranges import Ranges
from fsm_engine.timeline.ring import Ring
from fsm_engine.timeline.sampling import Mover, Sampler
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import DEVICE, MOVE, SPAN, Called, Kind, Sampling, Track

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class Recorder:
    """Ends with `remove()`, or as a context manager, which gives the timeline. It does not keep the engine alive.

    Attributes:
        timeline: what is recorded into.
        track: the part of it that is this engine's.
        handlers: whether calls of handlers are recorded.
        is_over: whether it records no more.
    """

    def __init__(
        self,
        engine: Engine,
        timeline: Timeline,
        handlers: bool,
        profile: bool = False,
        every: int = 1,
        device: Device | None = None,
    ) -> None:
        self.timeline, self.handlers, self.is_over = timeline, handlers, False
        self._every, self._device = every, device
        self.track = track = Track(engine.lifecycle.name, threading.current_thread().name, timeline.room)
        self._engine = weakref.ref(engine)
        self._graphs: list[Graph] = []  # they keep the transitions alive whose ids are known
        self._known: dict[int, int] = {}  # the number of a transition's kind, by its id
        self._last: dict[int, int] = {}  # the same for moves behind which nothing is recorded for a while
        self._guests: list[Recorder] = []
        self._ranges = Ranges() if profile else None
        self._clock: DeviceClock | None = None
        if device is not None:
            track.device_ring = Ring(DEVICE, timeline.room)
            self._clock = DeviceClock(device, track.device_ring, engine.logger)
        self._sampler: Sampler | None = None
        mover = self._mover(self._known)
        if every > 1:
            track.sampling = Sampling(every)
            self._sampler = Sampler(track.sampling, mover, self._mover(self._last))
            mover = self._sampler.mover()
        if engine._running:
            self._learn(engine.lifecycle.graph)
            self._stay(engine, "begin")
        timeline.tracks.append(track)
        self._observation = engine._observers.add(engine, mover, is_trusted=True)
        self._following = engine.observe(self._ranges.follow) if self._ranges is not None else None
        engine._recorder = self
        engine._wrap_handlers(self.around, handlers)

    def __enter__(self) -> Timeline:
        return self.timeline

    def __exit__(self, *error: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Record no more; nothing happens if that is so already."""
        self.is_over = True
        self._known.clear()
        self._last.clear()
        self._observation.remove()
        if self._clock is not None:
            self._clock.close()
        if self._following is not None and self._ranges is not None:
            self._following.remove()
            self._ranges.close()
        for guest in self._guests:
            guest.remove()
        engine = self._engine()
        if engine is not None and engine._recorder is self:
            engine._recorder = None
            engine._wrap_handlers(self.around, False)

    def invite(self, engine: Engine) -> None:
        """Record an engine that runs inside a run of this one, for as long as this one is recorded."""
        profile = self._ranges is not None
        self._guests.append(Recorder(engine, self.timeline, self.handlers, profile, self._every, self._device))

    def begin(self) -> None:
        """Take note that a run begins."""
        engine = self._engine()
        assert engine is not None
        if not len(self.track.move_ring):
            self.track.thread = threading.current_thread().name
        self._learn(engine.lifecycle.graph)
        last = self.track.last
        if last is not None:  # a run that was suspended may not be gone on with, and one may have been torn off
            self._rest(engine, qualified_name(engine.phase), last.time)

    def end(self) -> None:
        """Take note that a run has ended; one that was suspended rests where it is."""
        engine = self._engine()
        assert engine is not None
        if self._ranges is not None:
            self._ranges.close()
        if engine.outcome is not Outcome.INTERRUPTED:
            self._rest(engine, qualified_name(engine.lifecycle.graph.phases[0]), perf_counter_ns())
            return
        self._stay(engine, "rest")

    def _stay(self, engine: Engine, trigger: str) -> None:
        name, scopes = qualified_name(engine.phase), _names(engine.phase.scope)
        self._add(engine, Kind(name, "", name, scopes, scopes, trigger), perf_counter_ns())

    def _rest(self, engine: Engine, phase: str, time: int) -> None:
        """Take note that the run is in `phase`, if no move has led there."""
        last = self.track.last
        if last is not None and last.kind.target != phase:
            self._add(engine, Kind(last.kind.target, "", phase, last.kind.target_scopes, (), "rest"), time)

    def _add(self, engine: Engine, kind: Kind, time: int) -> None:
        state, number = engine.state, self.track.number(kind)
        self.track.move_ring.add(time, number, _small(state.epoch), _large(state.iteration))

    def _learn(self, graph: Graph) -> None:
        """Number the moves of a graph beforehand."""
        if graph in self._graphs:
            return
        self._graphs.append(graph)
        for exits in graph.exits:
            for transition in exits:
                self._known[id(transition)] = self._number(graph, transition, False)
        if self._sampler is not None:
            self._sampler.know(graph)

    def around(self, attachment: HandlerEntry, handler: Handler, alone: bool) -> Handler:
        """Return `handler`, which `attachment` attached, made to record when it is called and for how long.

        With `alone` it is only ever called with the engine, which is quicker.
        """
        called = Called(name_of_handler(attachment.handler), str(attachment.event), source_place(attachment.handler))
        make = self._timed_alone if alone else self._timed
        timed = make(handler, self.track.number_called(called))
        return timed if self._sampler is None else self._sampler.around(handler, timed, alone)

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

    def _mover(self, known: dict[int, int]) -> Mover:
        """Return what records a move; `known` has the numbers of kinds."""
        ring, now, pack = self.track.move_ring, perf_counter_ns, MOVE.pack_into
        block, size, last = ring.block, MOVE.size, len(ring.block) - MOVE.size

        def move(engine: Any, transition: Transition) -> None:
            time, state, at = now(), engine.state, ring.at
            number = known.get(id(transition))
            if number is None:
                if self.is_over:
                    return
                number = self._unknown(engine.lifecycle.graph, transition, known)
            try:
                pack(block, at, time, number, state.epoch, state.iteration)
            except Exception:  # counters that the user has set to something else
                pack(block, at, time, number, _small(state.epoch), _large(state.iteration))
            if at == last:
                ring.at, ring.laps = 0, ring.laps + 1
            else:
                ring.at = at + size

        return move if self._clock is None else self._marking(move, self._clock)

    def _marking(self, move: Mover, clock: DeviceClock) -> Mover:
        ring = self.track.move_ring

        def mark(engine: Any, transition: Transition) -> None:
            move(engine, transition)
            clock.mark(ring.count - 1)

        return mark

    def _unknown(self, graph: Graph, transition: Transition, known: dict[int, int]) -> int:
        number = self._number(graph, transition, known is self._last)
        if id(transition) in self._known:  # it stays alive, so that its id stays its own
            known[id(transition)] = number
        return number

    def _number(self, graph: Graph, transition: Transition, is_cut: bool) -> int:
        source, target = transition.source, transition.target
        here = graph.phases[graph.index[source]]  # type: ignore[index]
        there = None if isinstance(target, History) else graph.phases[graph.index[target]]
        kind = Kind(
            qualified_name(here),
            transition.label,
            str(target) if there is None else qualified_name(there),
            _names(here.scope),
            _names(target.scope if isinstance(target, History) else there.scope),  # type: ignore[union-attr]
            "run" if transition.signal is Signal.RUN else transition.trigger.value,
            bool(transition.error),
            is_cut,
        )
        return self.track.number(kind)


def _names(scope: Scope | None) -> tuple[str, ...]:
    return () if scope is None else tuple(map(str, scope.path))


def _small(value: Any) -> int:
    return value if isinstance(value, int) and -(2**31) <= value < 2**31 else -1


def _large(value: Any) -> int:
    return value if isinstance(value, int) and -(2**63) <= value < 2**63 else -1
