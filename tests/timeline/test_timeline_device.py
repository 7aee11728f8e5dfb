"""`record(device=True)`: device times, measured with a simulated device."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from fsm_engine import Engine, Events
from fsm_engine.timeline import Timeline
from fsm_engine.timeline import device as devices
from fsm_engine.timeline.ring import Ring
from fsm_engine.timeline.track import DEVICE
from fsm_engine.timeline.visits import Visits


class Queue:
    """A simulated device that works through a queue. The test sets how far it gets.

    Attributes:
        given: the time of all submitted work, in milliseconds.
        done: the time of the finished work.
        made: the number of events that were created.
        is_running: True during a run, in which waiting for the device is an error.
    """

    def __init__(self) -> None:
        self.given = self.done = 0.0
        self.made = self.recorded = 0
        self.is_running = self.is_captured = self.is_broken = False

    def event(self) -> FakeEvent:
        self.made += 1
        return FakeEvent(self)

    def is_capturing(self) -> bool:
        return self.is_captured


class FakeEvent:
    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    def record(self) -> None:
        if self.queue.is_broken:
            raise RuntimeError("the device is gone")
        self.queue.recorded += 1
        self.time = self.queue.given

    def query(self) -> bool:
        return self.time <= self.queue.done

    def synchronize(self) -> None:
        assert not self.queue.is_running
        self.queue.done = max(self.queue.done, self.time)

    def elapsed_time(self, other: FakeEvent) -> float:
        assert self.query()
        assert other.query()
        return other.time - self.time


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    queue = Queue()
    monkeypatch.setattr(devices, "CudaDevice", lambda: queue)
    return queue


def trainer(queue: Queue, lag: float = 0.0) -> Engine:
    """Return an engine that submits 2.5 ms of work in each step and 1 ms in EPOCH_COMPLETED; the device lags behind."""

    def work(time: float) -> None:
        queue.given += time
        queue.done = max(queue.done, queue.given - lag)

    engine = Engine(lambda _engine, _batch: work(2.5))
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: work(1.0))
    return engine


def run(engine: Engine, queue: Queue, data: Any = (1, 2, 3), **given: Any) -> Timeline:
    with engine.record(device=True, **given) as timeline:
        queue.is_running = True
        engine.run(data, max_epochs=2)
        queue.is_running = False
    return timeline


@pytest.mark.parametrize("lag", [0.0, 4.0, 1e9])
def test_each_phase_has_the_time_of_its_work_however_late_the_device_is(queue: Queue, lag: float) -> None:
    timeline = run(trainer(queue, lag), queue)
    found: dict[str, set[int | None]] = {}
    for visit in Visits(timeline.tracks[0]):
        found.setdefault(visit.phase, set()).add(visit.device)
    assert found.pop("Events.ITERATION_STARTED") == {2_500_000}
    assert found.pop("Events.EPOCH_COMPLETED") == {1_000_000}
    assert set.union(*found.values()) == {0}


def test_events_are_reused_and_the_number_of_pending_events_is_bounded(queue: Queue) -> None:
    run(trainer(queue), queue, range(2000))
    assert queue.made < 10 < 16_000 < queue.recorded
    late = Queue()
    clock = devices.DeviceClock(late, Ring(DEVICE, 10_000), logging.getLogger("test"))
    for number in range(3 * devices.MAX_PENDING):
        late.given += 1
        clock.mark(number)
    assert late.made == devices.MAX_PENDING
    assert len(clock._pending) <= devices.MAX_PENDING + 1
    late.done = late.given
    clock.mark(number + 1)
    clock.close()
    assert [*clock._ring][:3] == [(0, 1_000_000), (1, 1_000_000), (2, 1_000_000)]
    assert len(clock._ring) == devices.MAX_PENDING - 1  # the last event has no end


def test_device_times_stay_with_their_moves_when_the_oldest_are_dropped(queue: Queue) -> None:
    timeline = run(trainer(queue), queue, range(20), capacity=30)
    steps = [visit.device for visit in Visits(timeline.tracks[0]) if visit.phase == "Events.ITERATION_STARTED"]
    assert timeline.dropped[0] > 100
    assert set(steps) == {2_500_000}
    assert len(steps) >= 6


def test_no_events_are_recorded_in_a_captured_stream(queue: Queue) -> None:
    engine = trainer(queue)

    @engine.on(Events.ITERATION_STARTED(once=2))
    def capture() -> None:
        queue.is_captured = True

    @engine.on(Events.ITERATION_COMPLETED(once=2))
    def end() -> None:
        queue.is_captured = False

    timeline = run(engine, queue)
    steps = [visit.device for visit in Visits(timeline.tracks[0]) if visit.phase == "Events.ITERATION_STARTED"]
    assert steps == [2_500_000, None, 2_500_000, 2_500_000, 2_500_000, 2_500_000]


def test_an_error_of_the_device_does_not_break_the_run(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    engine = trainer(queue)

    @engine.on(Events.ITERATION_COMPLETED(once=2))
    def break_() -> None:
        queue.is_broken = True

    timeline = run(engine, queue)
    assert engine.state.iteration == 6
    steps = [visit.device for visit in Visits(timeline.tracks[0]) if visit.phase == "Events.ITERATION_STARTED"]
    assert steps == [2_500_000, 2_500_000, None, None, None, None]
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    (warning,) = warnings
    assert "No more device times" in warning


def test_summaries_files_tables_and_traces_have_device_times(queue: Queue, tmp_path: Path) -> None:
    timeline = run(trainer(queue), queue)
    loaded = Timeline.load(timeline.save(tmp_path / "run.fsmt"))
    assert [visit.device for visit in Visits(loaded.tracks[0])] == [
        visit.device for visit in Visits(timeline.tracks[0])
    ]
    (summary,) = loaded.summary().tracks
    assert summary.phases["Events.ITERATION_STARTED"].device == 6 * 2_500_000
    step_done = "Events.ITERATION_STARTED --step_done--> Events.ITERATION_COMPLETED"
    assert summary.transitions[step_done].device == 6 * 2_500_000
    assert summary.handlers[next(iter(summary.handlers))].device is None
    lines = str(summary).splitlines()
    assert lines[2].endswith("share  device")
    assert next(line for line in lines if line.startswith("Events.ITERATION_STARTED")).endswith(" 15 ms")
    moves = [row for row in loaded.to_dicts() if row.get("target") == "Events.ITERATION_STARTED"]
    assert [row["device"] for row in moves] == [2_500_000] * 6
    phases = [e for e in loaded.to_chrome()["traceEvents"] if e["ph"] == "X" and e["name"] == "ITERATION_STARTED"]
    assert [e["args"]["device us"] for e in phases] == [2500.0] * 6


def test_a_perfetto_trace_has_device_times(queue: Queue, tmp_path: Path) -> None:
    schema = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")
    timeline = run(trainer(queue), queue)
    trace = schema.Trace()
    trace.ParseFromString(timeline.export(tmp_path / "run.pftrace").read_bytes())
    names = {entry.iid: entry.name for packet in trace.packet for entry in packet.interned_data.debug_annotation_names}
    values = [
        annotation.double_value
        for packet in trace.packet
        for annotation in packet.track_event.debug_annotations
        if names.get(annotation.name_iid) == "device us"
    ]
    assert sorted(values)[-8:] == [1000.0] * 2 + [2500.0] * 6


def test_a_recording_without_a_device_has_no_device_times(queue: Queue) -> None:
    engine = trainer(queue)
    with engine.record() as timeline:
        engine.run([1])
    assert queue.made == 0
    assert {visit.device for visit in Visits(timeline.tracks[0])} == {None}
    assert "device" not in str(timeline.summary())
    assert not any("device" in row for row in timeline.to_dicts())


def test_nested_engines_and_sampled_iterations_have_device_times(queue: Queue) -> None:
    engine, evaluator = trainer(queue), trainer(queue)
    engine.add_event_handler(Events.COMPLETED, lambda: evaluator.run([1]))
    timeline = run(engine, queue, every=2)
    steps = [
        [visit.device for visit in Visits(track) if visit.phase == "Events.ITERATION_STARTED"]
        for track in timeline.tracks
    ]
    assert steps == [[2_500_000] * 3, [2_500_000]]


def test_recording_device_times_without_a_gpu_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    engine = Engine(lambda _engine, _batch: None)
    with pytest.raises(RuntimeError, match=r"device=True.*is_available\(\) is False.*without device="):
        engine.record(device=True)
    with engine.record() as timeline:
        engine.run([1])
    assert len(timeline.tracks) == 1


def test_cuda_events_have_the_methods_of_the_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    made: list[Any] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "Event", lambda **given: made.append(given) or object())
    devices.CudaDevice().event()
    assert made == [{"enable_timing": True}]
