"""`global_step_from_engine`: the step that it returns, and its weak reference to the engine."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import pytest

pytest.importorskip("torch")

from fsm_engine import Engine, EventEnum, Events
from fsm_engine.handlers import global_step_from_engine


class Own(EventEnum):
    COUNTED = "counted"
    UNCOUNTED = "uncounted"


def echo(engine: Engine, batch: Any) -> Any:
    return batch


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
        Own.UNCOUNTED,
        Events.EXCEPTION_RAISED,
    ]
    assert [step(evaluator, event) for event in events] == [2, 6, 7, 2, 2]
    step = global_step_from_engine(trainer, fallback_attr="iteration")
    assert [step(evaluator, event) for event in events] == [2, 6, 7, 6, 6]
    step = global_step_from_engine(trainer, Events.ITERATION_STARTED)
    assert [step(evaluator, event) for event in events] == [6] * 5


def test_it_does_not_keep_the_engine_alive_and_a_pickle_contains_it() -> None:
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
