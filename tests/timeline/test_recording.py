"""`engine.record()`: the timeline has every move and every handler call, in order, for every kind of run."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from itertools import pairwise
from typing import Any

import hypothesis
import pytest
from hypothesis import given, settings
from lifecycles import Plan, built, plans

from fsm_engine import Engine, EventEnum, Events, Lifecycle
from fsm_engine._util.errors import BusyError
from fsm_engine.timeline import Timeline
from fsm_engine.timeline.track import MOVE, SPAN
from fsm_engine.timeline.visits import Visits


class Own(EventEnum):
    FIRED = "fired"
    CALLBACK = "callback"
    CHECK = "check"


def step(_engine: Engine, batch: int) -> int:
    return batch


def nested(engine: Engine, other: Engine) -> None:
    other.run([1])


def walk(timeline: Timeline, track: int = 0) -> list[str]:
    return [str(move.kind) for move in timeline.tracks[track].moves]


def observed(engine: Engine) -> list[str]:
    moves: list[str] = []

    def see(engine: Engine, move: Any) -> None:
        names = [event if isinstance(event, str) else str(event) for event in (move.source, move.target)]
        moves.append(f"{names[0]} --{move.label}--> {names[1]}")

    engine.observe(see)
    return moves


def test_every_move_is_recorded_with_time_and_counters() -> None:
    engine = Engine(step)
    moves = observed(engine)
    with engine.record() as timeline:
        engine.run([1, 2], max_epochs=2)
    engine.run([1], max_epochs=3)
    (track,) = timeline.tracks
    assert walk(timeline) == moves[: len(walk(timeline))]
    assert walk(timeline)[-1] == "Events.COMPLETED --done--> IDLE"
    times = [move.time for move in track.moves]
    assert times == sorted(times)
    at_steps = [(m.epoch, m.iteration) for m in track.moves if m.kind.source == "Events.ITERATION_STARTED"]
    assert at_steps == [(1, 1), (1, 2), (2, 3), (2, 4)]
    assert track.dropped == (0, 0)


def test_handler_calls_are_spans_inside_the_visit_of_their_phase() -> None:
    engine = Engine(step)

    @engine.on(Events.ITERATION_COMPLETED(every=2))
    def now_and_then() -> None:
        pass

    @engine.on(Events.ITERATION_COMPLETED)
    def always(engine: Engine) -> None:
        pass

    with engine.record() as timeline:
        engine.run([1, 2, 3])
    (track,) = timeline.tracks
    names = [span.handler.name.rpartition(".")[2] for span in track.spans]
    assert names == ["always", "now_and_then", "always", "always"]
    assert {span.handler.event for span in track.spans} == {"Events.ITERATION_COMPLETED"}
    assert {span.handler.place.rpartition(":")[0] for span in track.spans} == {__file__}
    inside = [(visit.phase, len(visit.spans)) for visit in Visits(track) if visit.spans]
    assert inside == [("Events.ITERATION_COMPLETED", count) for count in (1, 2, 1)]
    assert all(0 <= visit.in_handlers <= visit.duration for visit in Visits(track))


def test_recorded_handlers_get_their_usual_arguments_and_can_be_added_and_removed() -> None:
    engine, given = Engine(step), []
    engine.register_events(Own.CALLBACK)

    def take(engine: Engine, *args: Any, **kwargs: Any) -> None:
        given.append((args, kwargs))

    engine.add_event_handler(Own.CALLBACK, take, 1, two=2)
    handle = engine.add_event_handler(Events.STARTED, take, 3)

    @engine.on(Events.ITERATION_COMPLETED(once=1))
    def change(engine: Engine) -> None:
        handle.remove()
        engine.add_event_handler(Events.COMPLETED, take, 4)
        engine.fire_event(Own.CALLBACK, 5)

    with engine.record() as timeline:
        engine.run([1, 2])
    assert given == [((3,), {}), ((5, 1), {"two": 2}), ((4,), {})]
    assert [span.handler.event for span in timeline.tracks[0].spans] == [
        *("Events.STARTED", "Own.CALLBACK", "Events.ITERATION_COMPLETED", "Events.COMPLETED")
    ]


def test_the_span_of_a_handler_that_raises_is_marked() -> None:
    engine = Engine(step)

    @engine.on(Events.ITERATION_STARTED)
    def fail(engine: Engine) -> None:
        raise KeyboardInterrupt

    with engine.record() as timeline, pytest.raises(KeyboardInterrupt):
        engine.run([1])
    (span,) = timeline.tracks[0].spans
    assert span.raised
    assert walk(timeline)[-2:] == [
        "Events.ITERATION_STARTED --exception--> Events.EXCEPTION_RAISED",
        "Events.EXCEPTION_RAISED --done--> IDLE",
    ]


def test_a_suspended_run_is_recorded_until_it_is_resumed() -> None:
    engine = Engine(step)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), Engine.interrupt)
    with engine.record() as timeline:
        engine.run([1, 2])
        engine.run()
    moves = walk(timeline)
    place = moves.index("run suspended in Events.INTERRUPT")
    assert moves[place - 1].endswith("--interrupt--> Events.INTERRUPT")
    assert moves[place + 1] == "Events.INTERRUPT --run--> Events.RESUMED"
    assert [visit.phase for visit in Visits(timeline.tracks[0])].count("Events.INTERRUPT") == 1


def test_engines_that_run_inside_a_run_are_recorded() -> None:
    trainer, evaluator, other = Engine(step), Engine(step), Engine(step)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, nested, evaluator)
    with trainer.record() as timeline:
        trainer.run([1], max_epochs=2)
        other.run([1])  # outside a recorded run
    assert [track.name for track in timeline.tracks] == ["training", "other"]
    assert walk(timeline, 1).count("IDLE --run--> Events.STARTED") == 2
    spans, runs = list(timeline.tracks[0].spans), [m.time for m in timeline.tracks[1].moves if m.kind.trigger == "run"]
    assert [span.start < time < span.end for span, time in zip(spans, runs)] == [True, True]
    evaluator.run([1])
    assert walk(timeline, 1).count("IDLE --run--> Events.STARTED") == 2
    assert evaluator._recorder is None


def test_a_recorder_removed_in_a_run_records_no_nested_engines() -> None:
    trainer, evaluator, other = Engine(step), Engine(step), Engine(step)
    recorder = trainer.record()
    trainer.add_event_handler(Events.ITERATION_STARTED, recorder.remove)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, nested, evaluator)
    trainer.run([1])
    other.run([1])
    assert len(recorder.timeline.tracks) == 1


def test_an_engine_as_an_activity_is_recorded() -> None:
    inner = Engine(step)
    lifecycle = Lifecycle.training(step)
    lifecycle.insert(Own.CHECK, after=Events.EPOCH_COMPLETED, activity=inner, data=[1])
    trainer = Engine(lifecycle=lifecycle)
    with trainer.record() as timeline:
        trainer.run([1])
    assert len(timeline.tracks) == 2
    (visit,) = [visit for visit in Visits(timeline.tracks[0]) if visit.phase == "Own.CHECK"]
    times = [move.time for move in timeline.tracks[1].moves]
    assert visit.entered.time < times[0] <= times[-1] < visit.left.time


def test_several_engines_and_threads_share_a_timeline() -> None:
    engines = [Engine(step) for _ in range(4)]
    timeline = Timeline()
    recorders = [engine.record(timeline) for engine in engines]
    threads = [threading.Thread(target=engine.run, args=(range(500),)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for recorder in recorders:
        recorder.remove()
        recorder.remove()
    alone = Engine(step)
    with alone.record() as single:
        alone.run(range(500))
    assert [walk(timeline, number) for number in range(4)] == [walk(single)] * 4


def test_a_full_track_keeps_the_newest_records() -> None:
    engine = Engine(step)
    engine.add_event_handler(Events.ITERATION_COMPLETED, step, 1)
    with engine.record() as whole:
        engine.run(range(50))
    with engine.record(capacity=40) as timeline:
        engine.run(range(50))
    (track,) = timeline.tracks
    assert walk(timeline) == walk(whole)[-40:]
    assert timeline.dropped == (len(walk(whole)) - 40, 10)
    assert len(list(track.spans)) == 40
    assert len(track.move_ring.block) == 40 * MOVE.size
    assert (MOVE.size, SPAN.size) == (24, 24)


def test_moves_of_a_step_are_recorded() -> None:
    def fires(engine: Engine, batch: int) -> None:
        engine.fire_event(Own.FIRED)

    engine = Engine(fires)
    engine.lifecycle.add_path(Events.ITERATION_STARTED >> Own.FIRED >> Events.ITERATION_COMPLETED, required=True)
    with engine.record() as timeline:
        engine.run([1])
    fired = walk(timeline).index("Events.ITERATION_STARTED --fired--> Own.FIRED")
    assert walk(timeline)[fired : fired + 2] == [
        "Events.ITERATION_STARTED --fired--> Own.FIRED",
        "Own.FIRED --iteration_completed--> Events.ITERATION_COMPLETED",
    ]


def test_recording_twice_raises() -> None:
    engine = Engine(step)
    with engine.record() as timeline:
        with pytest.raises(BusyError, match="already being recorded"):
            engine.record()
        with pytest.raises(BusyError, match="already being recorded"):
            engine.record(timeline)
    with engine.record():
        pass


@pytest.mark.parametrize("capacity", [0, -1, 1.5, True, "many"])
def test_an_invalid_capacity_raises(capacity: Any) -> None:
    with pytest.raises(ValueError, match="has to be a positive integer"):
        Engine(step).record(capacity=capacity)
    with pytest.raises(ValueError, match=r"capacity=5 .*with a timeline"):
        Engine(step).record(Timeline(), capacity=5)


def test_counters_that_do_not_fit_do_not_break_a_run() -> None:
    engine = Engine(step)

    @engine.on(Events.EPOCH_COMPLETED)
    def spoil(engine: Engine) -> None:
        engine.state.epoch = 2**40

    with engine.record() as timeline:
        engine.run([1])
    assert [move.epoch for move in timeline.tracks[0].moves][-2:] == [-1, -1]


def test_copies_and_pickles_are_not_recorded() -> None:
    engine = Engine(step)
    with engine.record() as timeline:
        engine.run([1])
        twin, other = copy.deepcopy(engine), pickle.loads(pickle.dumps(engine))
        moves = walk(timeline)
        twin.run([1])
        other.run([1])
    assert walk(timeline) == moves
    assert (twin._recorder, other._recorder) == (None, None)


@pytest.mark.parametrize("every", [1, 2])
def test_a_recorded_engine_is_freed_without_the_garbage_collector(every: int) -> None:
    gc.disable()
    try:
        engine = Engine(step)
        engine.add_event_handler(Events.STARTED, step, 1)
        recorder = engine.record(every=every)
        engine.run([1])
        gone = weakref.ref(engine)
        del engine
        assert gone() is None
        recorder.remove()
    finally:
        gc.enable()


def test_an_engine_costs_nothing_after_the_recording() -> None:
    engine = Engine(step)
    before = engine.source
    with engine.record():
        assert engine.source != before
    assert engine.source == before


@settings(deadline=None, max_examples=60, suppress_health_check=list(hypothesis.HealthCheck))
@given(plans())
def test_recorded_moves_equal_observed_moves_and_verify(plan: Plan) -> None:
    building = built(plan)
    moves = observed(building.engine)
    with building.engine.record() as timeline:
        building.run()
    (track, *_) = timeline.tracks
    recorded = [str(move.kind) for move in track.moves if move.kind.is_transition]
    assert recorded == moves
    assert timeline.verify(building.engine.lifecycle) is None
    spent = list(Visits(track))
    assert all(one.left.time <= other.entered.time for one, other in pairwise(spent))
    assert all(
        span.start >= visit.entered.time and span.end <= visit.left.time for visit in spent for span in visit.spans
    )


def test_a_recorder_removed_by_the_step_records_nothing_more() -> None:
    def removes(engine: Engine, batch: int) -> None:
        recorder.remove()

    engine = Engine(removes)
    recorder = engine.record()
    engine.run([1, 2])
    assert walk(recorder.timeline)[-1].endswith("--> Events.ITERATION_STARTED")


def test_a_recorded_handler_gets_the_arguments_of_fire_event() -> None:
    engine, given = Engine(step), []
    engine.register_events(Own.CALLBACK)

    def take(engine: Engine, *args: Any, **kwargs: Any) -> None:
        given.append((args, kwargs))

    engine.add_event_handler(Own.CALLBACK, take)
    engine.add_event_handler(Events.STARTED, lambda engine: engine.fire_event(Own.CALLBACK, 1, two=2))
    with engine.record() as timeline:
        engine.run([1])
    assert given == [((1,), {"two": 2})]
    assert [span.handler.event for span in timeline.tracks[0].spans] == ["Own.CALLBACK", "Events.STARTED"]


def test_moves_are_logged_when_debugging_is_enabled_between_runs(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(step)
    with engine.record():
        engine.run([1])
        engine.logger.disabled = False
        with caplog.at_level("DEBUG", engine.logger.name):
            engine.run([1], max_epochs=2)
    assert "ITERATION_STARTED --step_done--> ITERATION_COMPLETED" in caplog.messages
