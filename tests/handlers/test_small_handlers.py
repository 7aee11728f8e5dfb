"""What `TimeLimit`, `EpochOutputStore` and `global_step_from_engine` do."""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

from fsm_engine import Engine, EventEnum, Events
from fsm_engine.handlers import EpochOutputStore, TimeLimit, global_step_from_engine, time_limit


class Own(EventEnum):
    COUNTED = "counted"
    PLAIN = "plain"


def echo(engine: Engine, batch: Any) -> Any:
    return batch


def doubled(output: int) -> int:
    return 2 * output


# TimeLimit


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that the test moves: ``clock(2)`` lets two seconds pass."""
    now = [100.0]
    monkeypatch.setattr(time_limit, "monotonic", lambda: now[0])

    def passes(seconds: float) -> None:
        now[0] += seconds

    return passes


def test_a_run_ends_where_its_time_is_over(clock: Callable[[float], None], caplog: pytest.LogCaptureFixture) -> None:
    handler, engine = TimeLimit(10), Engine(lambda engine, batch: clock(batch))
    engine.add_event_handler(Events.ITERATION_COMPLETED, handler)
    with caplog.at_level(logging.INFO):
        engine.run([4, 6, 0.5, 1])
    assert (engine.outcome, engine.state.iteration) == ("terminated", 3)
    assert "TimeLimit: 10.5 s have passed, more than the limit of 10 s. The run is terminated." in caplog.messages


def test_the_time_is_that_of_a_process(clock: Callable[[float], None]) -> None:
    handler = TimeLimit(10)
    clock(11)
    for engine, limit in [(Engine(echo), handler), (Engine(echo), pickle.loads(pickle.dumps(handler)))]:
        engine.add_event_handler(Events.ITERATION_COMPLETED, limit)
        engine.run([1, 2])
        assert (engine.outcome == "terminated") == (limit is handler)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (1.5, TypeError, "Argument limit_sec should be an integer. Got 1.5."),
        ("1", TypeError, "Argument limit_sec should be an integer. Got '1'."),
        (0, ValueError, "Argument limit_sec should be a positive integer. Got 0."),
        (-3, ValueError, "Argument limit_sec should be a positive integer. Got -3."),
    ],
)
def test_wrong_limits_are_errors(wrong: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        TimeLimit(wrong)
    assert str(caught.value) == message


# EpochOutputStore


def test_the_outputs_are_those_of_the_epoch() -> None:
    engine, store = Engine(lambda engine, batch: batch + engine.state.epoch), EpochOutputStore(doubled)
    store.attach(engine, "outputs")
    kept = []
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: kept.append(engine.state.outputs))
    engine.run([10, 20], max_epochs=2)
    assert kept == [[22, 42], [24, 44]]
    assert store.data is kept[1]


def test_without_a_name_the_state_is_left_alone() -> None:
    engine, store = Engine(echo), EpochOutputStore()
    store.attach(engine)
    before = {*engine.state.attributes()}
    engine.run([1, 2])
    assert (store.data, {*engine.state.attributes()}) == ([1, 2], before)
    assert pickle.loads(pickle.dumps(EpochOutputStore(doubled)))._output_transform is doubled


def test_a_run_that_goes_on_from_a_file_has_all_outputs_of_its_epoch() -> None:
    def made() -> tuple[Engine, EpochOutputStore]:
        engine, store = Engine(echo), EpochOutputStore()
        engine.resumes_exactly = True
        store.attach(engine, "outputs")
        return engine, store

    engine, store = made()
    engine.run([1, 2, 3], max_epochs=2, until=Events.ITERATION_COMPLETED(once=5))
    saved = pickle.dumps(engine.state_dict())
    assert store.state_dict() == {"data": [1, 2]}
    engine, store = made()
    engine.load_state_dict(pickle.loads(saved))
    engine.run([1, 2, 3])
    assert (engine.state.outputs, store.data, store.state_dict()) == ([1, 2, 3], [1, 2, 3], {"data": []})


# global_step_from_engine


def test_the_step_is_the_counter_of_the_event() -> None:
    trainer, evaluator = Engine(echo), Engine(echo)
    trainer.register_events(*Own, event_to_attr={Own.COUNTED: "count"})
    trainer.state.count = 7
    trainer.run([1, 2, 3], max_epochs=2)
    step = global_step_from_engine(trainer)
    events = [
        Events.EPOCH_COMPLETED,
        Events.ITERATION_COMPLETED(every=2),
        Own.COUNTED,
        Own.PLAIN,
        Events.EXCEPTION_RAISED,
    ]
    assert [step(evaluator, event) for event in events] == [2, 6, 7, 2, 2]
    step = global_step_from_engine(trainer, fallback_attr="iteration")
    assert [step(evaluator, event) for event in events] == [2, 6, 7, 6, 6]
    step = global_step_from_engine(trainer, Events.ITERATION_STARTED)
    assert [step(evaluator, event) for event in events] == [6] * 5


def test_the_engine_is_not_kept_alive_and_missed_when_it_is_gone() -> None:
    gc.disable()
    try:
        trainer = Engine(echo)
        step, dropped = global_step_from_engine(trainer), weakref.ref(trainer)
        assert copy.deepcopy(step)(None, Events.EPOCH_COMPLETED) == 0
        other, other_step = pickle.loads(pickle.dumps((trainer, step)))
        del trainer
        assert dropped() is None
    finally:
        gc.enable()
    with pytest.raises(ReferenceError, match="an engine that does not exist any more"):
        step(None, Events.EPOCH_COMPLETED)
    other.run([1], max_epochs=3)
    assert other_step(None, Events.EPOCH_COMPLETED) == 3
