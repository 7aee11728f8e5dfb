"""Recorders: one records one engine into a timeline, at a few hundred nanoseconds per move and per handler call."""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, NoReturn

from fsm_engine.dispatch.entries import Handler, HandlerEntry
from fsm_engine.dispatch.observers import Observation
from fsm_engine.engine.engine import Engine
from fsm_engine.engine.naming import nested_name
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.transitions import Transition
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.runtime.cursor import Outcome
from fsm_engine.timeline.collective_calls import start_recording, stop_recording
from fsm_engine.timeline.device import Device, DeviceClock
from fsm_engine.timeline.gate import Gate
from fsm_engine.timeline.profiler_ranges import ProfilerRanges
from fsm_engine.timeline.rank import read_clock, recording_rank
from fsm_engine.timeline.ring import Ring
from fsm_engine.timeline.sampling import Sampler
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import DEVICE, PAUSE, MoveKind, NamedSpans, Sampling, Track
from fsm_engine.timeline.track_writer import MoveObserver, TrackWriter, scope_names


class Recorder:
    """Records until `remove` is called, or until its ``with`` block ends. The block gets the timeline.

    `start` begins the recording. A recorder refers to the engine weakly.

    Attributes:
        timeline: the timeline that is recorded into.
        track: the engine's track in it.
        handlers: whether calls of handlers are recorded.
        is_over: whether `remove` was called.
    """

    def __init__(
        self,
        engine: Engine,
        timeline: Timeline,
        handlers: bool,
        profile: bool = False,
        every: int = 1,
        device: Device | None = None,
        gate: Gate | None = None,
        name: str | None = None,
    ) -> None:
        self._gate = gate
        self.timeline, self.handlers, self.is_over = timeline, handlers, False
        self._every, self._device = every, device
        name = name or engine.name or engine.lifecycle.name
        self.track = track = Track(name, threading.current_thread().name, timeline.capacity)
        track.rank = recording_rank()
        self._engine = weakref.ref(engine)
        self._nested: list[Recorder] = []
        self._ranges = ProfilerRanges() if profile else None
        self._clock: DeviceClock | None = None
        if device is not None:
            track.device_ring = Ring(DEVICE, timeline.capacity)
            self._clock = DeviceClock(device, track.device_ring, engine.logger)
        self._writer = TrackWriter(track)
        self._sampler: Sampler | None = None
        observer = self._move_observer()
        if every > 1:
            track.sampling = Sampling(every)
            self._sampler = Sampler(track.sampling, observer, self._move_observer(starts_gap=True))
            observer = self._sampler.move_observer()
        self._observations = [Observation(engine, observer, is_trusted=True)]
        if self._ranges is not None:
            self._observations.append(Observation(engine, self._ranges.observe, is_trusted=False))

    def start(self) -> Recorder:
        """Start to record, and return this recorder. If an exception cuts this short, `remove` undoes it."""
        read_clock(self.track.rank)
        if self.track.rank is not None:
            self.track.collectives = NamedSpans(self.timeline.capacity)
            start_recording(self.track.collectives)
        return self._start()

    def _start(self) -> Recorder:
        engine = self._engine()
        assert engine is not None
        if engine.is_running:
            self._learn(engine.lifecycle.graph)
            self._write_phase(engine, "begin")
        self.timeline.tracks.append(self.track)
        for observation in self._observations:
            engine._observers.insert(observation)
        engine._recorder = self
        engine._wrap_handlers(self._timed, self.handlers)
        if self._gate is not None:
            self._gate.add(self, engine)
        return self

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            hint = ""
            if not name.startswith("_") and hasattr(Timeline, name):
                hint = (
                    f" It belongs to the timeline: write `with engine.record() as timeline: ...`, then timeline.{name}."
                )
            raise AttributeError(f"a Recorder has no attribute {name!r}.{hint}", name=name, obj=self)

    def __enter__(self) -> Timeline:
        return self.timeline

    def __exit__(self, *error: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Stop recording. A second call does nothing."""
        if not self.is_over:
            read_clock(self.track.rank)
        self._remove()

    def _remove(self) -> None:
        self.is_over = True
        stop_recording(self.track.collectives)
        self._writer.close()
        for observation in self._observations:
            observation.remove()
        if self._clock is not None:
            self._clock.close()
        if self._ranges is not None:
            self._ranges.close()
        for recorder in self._nested:
            recorder._remove()
        engine = self._engine()
        if engine is not None and engine._recorder is self:
            engine._wrap_handlers(self._timed, False)
            engine._recorder = None

    def record_nested(self, engine: Engine) -> None:
        """Record `engine`, which runs inside a run of this engine, until this recorder stops."""
        profile = self._ranges is not None
        options = (self.handlers, profile, self._every, self._device, self._gate)
        recorder = Recorder(engine, self.timeline, *options, name=nested_name(engine))
        self._nested.append(recorder)  # before it starts, so that `remove` finds it whatever happens
        recorder._start()

    def forget_nested(self, recorder: Recorder) -> None:
        """Let go of the recorder of a nested engine that no longer exists."""
        if recorder in self._nested:
            recorder._remove()
            self._nested.remove(recorder)

    def begin(self) -> None:
        """Record that a run begins."""
        engine = self._engine()
        assert engine is not None
        if not len(self.track.move_ring):
            self.track.thread = threading.current_thread().name
        self._learn(engine.lifecycle.graph)
        last = self.track.last_move
        if last is not None:  # the run before may be suspended for ever, or may have ended without a move
            self._write_end(engine, qualified_name(engine.phase), last.time)
        if self._gate is not None:
            self._gate.begin(engine)

    def end(self, error: BaseException | None) -> None:
        """Record that a run ends or is suspended; `error` is the exception that ended it."""
        engine = self._engine()
        assert engine is not None
        if self._ranges is not None:
            self._ranges.close()
        if engine._cursor.outcome is Outcome.INTERRUPTED:  # `engine.outcome` is None until `run` returns
            self._write_phase(engine, "end")
        else:
            self._write_end(engine, qualified_name(engine.lifecycle.graph.phases[0]))
        if self._gate is not None:
            self._gate.end(engine, error)

    def write_pause(self, start: int) -> None:
        """Record that the run was paused from `start`, in nanoseconds of the monotonic clock, until now."""
        self.track.span_ring.add(start, perf_counter_ns(), self.track.handler_number(PAUSE), 0)

    def _write_phase(self, engine: Engine, trigger: str) -> None:
        """Record that the run stays in its phase: it is suspended there, or the recording begins there."""
        name, scopes = qualified_name(engine.phase), scope_names(engine.phase.scope)
        self._writer.write(engine, MoveKind(name, "", name, scopes, scopes, trigger))

    def _write_end(self, engine: Engine, phase: str, time: int | None = None) -> None:
        """Record that the run is in `phase`, unless the last move led there."""
        last = self.track.last_move
        if last is not None and last.kind.target != phase:
            kind = MoveKind(last.kind.target, "", phase, last.kind.target_scopes, (), "end")
            self._writer.write(engine, kind, time)

    def _learn(self, graph: Graph) -> None:
        if not self._writer.learn(graph):
            return
        if self._sampler is not None:
            self._sampler.learn(graph)
        engine = self._engine()
        if engine is not None:
            with suppress(ValueError, TypeError):  # such as two functions of one name, which no file can tell apart
                self.track.lifecycle_data = engine.lifecycle.to_dict()

    def _timed(self, entry: HandlerEntry, handler: Handler, engine_only: bool) -> Handler:
        """Return a function that calls `handler` and records the call; see `TrackWriter.timed`."""
        timed = self._writer.timed(entry, handler, engine_only)
        return timed if self._sampler is None else self._sampler.wrap(handler, timed, engine_only)

    def _move_observer(self, starts_gap: bool = False) -> MoveObserver:
        """Return an observer that writes each move; it also passes the gate, or marks the move on the device."""
        move, ring, clock = self._writer.move_observer(starts_gap), self.track.move_ring, self._clock
        if self._gate is not None:
            return gated(move, self._gate)
        if clock is None:
            return move

        def mark(engine: Any, transition: Transition) -> None:
            move(engine, transition)
            clock.mark(ring.count - 1)

        return mark


def gated(write: MoveObserver, gate: Gate) -> MoveObserver:
    """Return an observer that writes each move and then stops where `gate` wants it to."""

    def observe(engine: Any, transition: Transition) -> None:
        write(engine, transition)
        if gate.wanted:
            gate.stop(engine, transition)

    return observe
