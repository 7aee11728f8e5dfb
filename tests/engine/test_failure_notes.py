"""Notes on exceptions: the handler or phase that raised, its event, and the counters of the run."""

from __future__ import annotations

import gc
import inspect
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

pytest.importorskip("torch")

from fsm_engine import Engine, EventEnum, Events, Lifecycle
from fsm_engine.handlers.profilers import HandlersTimeProfiler

pytestmark = pytest.mark.skipif(not hasattr(BaseException, "add_note"), reason="Python 3.10 has no notes")


class Parts(EventEnum):
    BACKWARD = "backward"
    ROLLOUT = "rollout"


class Callback(EventEnum):
    LOG = "log"


def fails(engine: Engine, value: str = "no value") -> None:
    raise LookupError(value)


class Failing:
    def __call__(self, engine: Engine) -> None:
        raise LookupError("no value")


def notes_of(run: Callable[[], Any], kind: type[Exception] = LookupError) -> list[str]:
    with pytest.raises(kind) as error:
        run()
    return list(getattr(error.value, "__notes__", []))


def place_of(function: Any) -> str:
    return f"{function.__qualname__} ({__file__}:{inspect.getsourcelines(function)[1]})"


def trainer_with_events() -> Engine:
    def step(engine: Engine, batch: int) -> None:
        engine.fire_event(Parts.BACKWARD)
        engine.fire_event(Callback.LOG)

    trainer = Engine(step)
    trainer.lifecycle.add_path(Events.ITERATION_STARTED >> Parts.BACKWARD >> Events.ITERATION_COMPLETED)
    trainer.register_events(Callback.LOG)
    return trainer


def observed(trainer: Engine) -> object:
    return trainer.observe(lambda engine, transition: None)


def profiled(trainer: Engine) -> None:
    HandlersTimeProfiler().attach(trainer)


ON_EVENTS = [
    (Events.STARTED, "Events.STARTED", 0, 0),
    (Events.GET_BATCH_COMPLETED, "Events.GET_BATCH_COMPLETED", 1, 0),
    (Events.ITERATION_COMPLETED(every=3), "Events.ITERATION_COMPLETED", 2, 3),
    (Events.EPOCH_COMPLETED(once=2), "Events.EPOCH_COMPLETED", 2, 4),
    (Events.COMPLETED(priority=5), "Events.COMPLETED", 2, 4),
    (Parts.BACKWARD, "Parts.BACKWARD", 1, 1),
    (Callback.LOG, "Callback.LOG", 1, 1),
    (Callback.LOG(every=2), "Callback.LOG", 1, 2),
    (Events.EPOCH_COMPLETED >> Events.EPOCH_STARTED, "Events.EPOCH_COMPLETED >> Events.EPOCH_STARTED", 1, 2),
]


@pytest.mark.parametrize(
    "watch", [None, observed, Engine.record, profiled], ids=["bare", "observed", "recorded", "profiled"]
)
@pytest.mark.parametrize(
    ("event", "name", "epoch", "iteration"), ON_EVENTS, ids=[str(event) for event, *_ in ON_EVENTS]
)
@pytest.mark.parametrize("alone", [True, False])
def test_the_exception_of_a_handler_names_the_handler_its_event_and_the_counters(
    event: Any, name: str, epoch: int, iteration: int, alone: bool, watch: Callable[[Engine], object] | None
) -> None:
    trainer = trainer_with_events()
    if not alone:
        trainer.add_event_handler(event, lambda: None)
    trainer.add_event_handler(event, fails)
    kept = watch(trainer) if watch is not None else None
    expected = f"Raised in the handler {place_of(fails)} of {name}, epoch {epoch}, iteration {iteration}."
    assert notes_of(lambda: trainer.run([1, 2], max_epochs=2)) == [expected]
    del kept


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
def test_both_drivers_name_the_handler(driver: str) -> None:
    trainer = Engine(lambda engine, batch: None)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, fails)
    (note,) = notes_of(lambda: trainer.run([1, 2], driver=driver))
    assert note == f"Raised in the handler {place_of(fails)} of Events.EPOCH_COMPLETED, epoch 1, iteration 2."


@pytest.mark.parametrize(
    ("handler", "named"),
    [(partial(fails, value="x"), fails), (Failing(), Failing)],
    ids=["partial", "object"],
)
def test_partial_functions_and_objects_are_named_by_their_definition(handler: Any, named: Any) -> None:
    trainer = Engine(lambda engine, batch: None)
    trainer.add_event_handler(Events.STARTED, handler)
    (note,) = notes_of(lambda: trainer.run([1]))
    assert place_of(named) in note


def test_the_exception_of_a_filter_names_its_handler() -> None:
    def broken(engine: Engine, value: int) -> bool:
        raise LookupError(value)

    trainer = Engine(lambda engine, batch: None)
    trainer.add_event_handler(Events.STARTED(event_filter=broken), fails)
    (note,) = notes_of(lambda: trainer.run([1]))
    assert f"the event_filter of the handler {place_of(fails)} of Events.STARTED" in note


def test_the_exception_of_the_step_names_the_step_and_the_counters() -> None:
    trainer = Engine(lambda engine, batch: 1 // (batch - 2))
    notes = notes_of(lambda: trainer.run([1, 2], max_epochs=2), ZeroDivisionError)
    assert notes == ["Raised in ITERATION_STARTED (the step), epoch 1, iteration 2."]


def test_the_exception_of_the_data_names_the_phase_that_fetches() -> None:
    def batches() -> Iterator[int]:
        yield 1
        raise LookupError("disk")

    trainer = Engine(lambda engine, batch: None)
    assert notes_of(lambda: trainer.run(batches())) == ["Raised in GET_BATCH_STARTED, epoch 1, iteration 1."]


def test_a_lifecycle_without_epochs_names_its_own_counters() -> None:
    lifecycle = Lifecycle("play")
    lifecycle.add_phase(Parts.ROLLOUT, fails, counter="rounds")
    lifecycle.add_path(Events.STARTED >> Parts.ROLLOUT >> Events.COMPLETED, required=True)
    assert notes_of(lambda: Engine(lifecycle=lifecycle).run()) == ["Raised in ROLLOUT, rounds 1."]


def test_each_engine_that_an_exception_passes_adds_its_note() -> None:
    evaluator = Engine(lambda engine, batch: 1 // 0, name="validation")
    trainer = Engine(lambda engine, batch: None)

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate() -> None:
        evaluator.run([1])

    assert notes_of(lambda: trainer.run([1, 2], max_epochs=2), ZeroDivisionError) == [
        "Raised in ITERATION_STARTED (the step), epoch 1, iteration 1, engine 'validation'.",
        f"Raised in the handler {place_of(evaluate)} of Events.EPOCH_COMPLETED, epoch 1, iteration 2.",
    ]


def test_a_handler_of_exception_raised_that_raises_the_exception_again_adds_no_note() -> None:
    trainer = Engine(lambda engine, batch: 1 // 0)

    @trainer.on(Events.EXCEPTION_RAISED)
    def again(engine: Engine, error: Exception) -> None:
        raise error

    assert len(notes_of(lambda: trainer.run([1]), ZeroDivisionError)) == 1


def test_a_handler_of_exception_raised_that_fails_itself_is_named() -> None:
    trainer = Engine(lambda engine, batch: 1 // 0)
    trainer.add_event_handler(Events.EXCEPTION_RAISED, lambda engine, error: fails(engine))
    (note,) = notes_of(lambda: trainer.run([1]))
    assert "of Events.EXCEPTION_RAISED" in note


def test_a_handler_of_the_edge_that_an_exception_takes_is_named() -> None:
    trainer = Engine(lambda engine, batch: 1 // 0)
    trainer.on_exit(Events.ITERATION_STARTED)(fails)
    (note,) = notes_of(lambda: trainer.run([1]))
    assert f"the handler {place_of(fails)} of Exit(Events.ITERATION_STARTED)" in note


def test_an_exception_that_allows_no_attributes_is_raised_as_it_is() -> None:
    class Frozen(LookupError):
        def __setattr__(self, name: str, value: Any) -> None:
            raise TypeError("frozen")

    def step(engine: Engine, batch: int) -> None:
        raise Frozen("no note")

    assert notes_of(lambda: Engine(step).run([1]), Frozen) == []


def test_a_note_keeps_nothing_of_the_run_alive() -> None:
    class Batch:
        pass

    def step(engine: Engine, batch: Batch) -> None:
        raise LookupError("no value")

    trainer = Engine(step)
    batch = Batch()
    seen = weakref.ref(batch)
    gc.disable()
    try:
        with suppress(LookupError):
            trainer.run(iter([batch]))
        trainer.state.batch = trainer.state.dataloader = None
        del batch
        assert seen() is None
    finally:
        gc.enable()
