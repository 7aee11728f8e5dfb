"""Observers: the moves with which they are called, the order of the calls, and exceptions that they raise."""

from __future__ import annotations

import copy
import logging
import re
import weakref
from typing import Any

import pytest
import training_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from training_graph import ONE_BATCH

from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import EventEnum, Events, name_of
from fsm_engine.graph.phases import IDLE
from fsm_engine.graph.transitions import Transition

TWO_EPOCHS = training_graph.moves(
    *(IDLE, Events.STARTED, Events.EPOCH_STARTED, *ONE_BATCH, *ONE_BATCH, Events.EPOCH_COMPLETED),
    *(Events.EPOCH_STARTED, Events.GET_BATCH_STARTED, Events.DATALOADER_STOP_ITERATION, *ONE_BATCH[1:], *ONE_BATCH),
    *(Events.EPOCH_COMPLETED, Events.COMPLETED, IDLE),
)
"""Moves of a run of two epochs over two batches."""


class Mine(EventEnum):
    FOO = "foo"


def echo(engine: Engine, batch: Any) -> Any:
    return batch


@pytest.fixture
def engine() -> Engine:
    return Engine(echo)


def moves(engine: Engine) -> list[str]:
    """Observe `engine`, and return the list to which its moves are appended."""
    seen: list[str] = []
    engine.observe(lambda engine, transition: seen.append(str(transition)))
    return seen


def test_an_observer_is_called_with_every_move(engine: Engine) -> None:
    seen = moves(engine)
    engine.run([1, 2], max_epochs=2)
    assert seen == TWO_EPOCHS


def test_observers_are_called_with_moves_by_signals_and_exceptions(engine: Engine) -> None:
    def fail() -> None:
        raise LookupError("lost")

    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), lambda: engine.interrupt())
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: engine.terminate_epoch())
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=3), lambda: engine.terminate())
    raising = engine.add_event_handler(Events.STARTED(once=2), fail)
    seen = moves(engine)
    engine.run([7, 8, 9], max_epochs=3)
    engine.run()
    with pytest.raises(LookupError, match=r"^lost\b"):
        engine.run([7, 8, 9])
    raising.remove()
    assert [move for move in seen if "_BATCH" not in move and "ITERATION_STARTED" not in move] == [
        "IDLE --run--> STARTED",
        "STARTED --next_epoch--> EPOCH_STARTED",
        "ITERATION_COMPLETED --interrupt--> INTERRUPT",
        "INTERRUPT --run--> RESUMED",
        "RESUMED --resume--> ITERATION_COMPLETED",
        "ITERATION_COMPLETED --terminate_epoch--> TERMINATE_SINGLE_EPOCH",
        "TERMINATE_SINGLE_EPOCH --end_epoch--> EPOCH_COMPLETED",
        "EPOCH_COMPLETED --next_epoch--> EPOCH_STARTED",
        "ITERATION_COMPLETED --terminate--> TERMINATE",
        "TERMINATE --end_run--> COMPLETED",
        "COMPLETED --done--> IDLE",
        "IDLE --run--> STARTED",
        "STARTED --exception--> EXCEPTION_RAISED",
        "EXCEPTION_RAISED --done--> IDLE",
    ]


@settings(deadline=None)
@given(
    st.sets(st.sampled_from(list(Events))),
    st.sampled_from(([1, 2, 3], None)),
    st.integers(1, 4),
    st.sampled_from((None, "terminate", "terminate_epoch", "interrupt")),
    st.integers(1, 5),
)
def test_observed_moves_form_a_path_with_any_handlers(
    observed: set[Events], data: Any, length: int, signal: str | None, number: int
) -> None:
    engine = Engine(echo)
    seen: list[Transition] = []
    for event in observed:
        engine.add_event_handler(event, lambda *args: None)
    if signal is not None:
        engine.add_event_handler(Events.ITERATION_COMPLETED(once=number), lambda: getattr(engine, signal)())
    engine.observe(lambda engine, transition: seen.append(transition))
    engine.run(data, max_epochs=2, epoch_length=length)
    ends = [(name_of(move.source), name_of(move.target)) for move in seen]
    assert (ends[0][0], ends[-1][1]) == (IDLE, IDLE if engine.outcome != "interrupted" else "INTERRUPT")
    assert [target for _, target in ends[:-1]] == [source for source, _ in ends[1:]]


def test_an_observer_is_called_before_the_target_is_entered() -> None:
    engine = Engine(echo)
    log: list[Any] = []
    engine.observe(lambda engine, transition: log.append((str(transition), engine.state.epoch, engine.state.iteration)))
    engine.add_event_handler(Events.EPOCH_STARTED, lambda: log.append("EPOCH_STARTED"))
    engine.run(epoch_length=1)
    assert log == [
        ("IDLE --run--> STARTED", 0, 0),
        ("STARTED --next_epoch--> EPOCH_STARTED", 0, 0),
        "EPOCH_STARTED",
        ("EPOCH_STARTED --no_data--> ITERATION_STARTED", 1, 0),
        ("ITERATION_STARTED --step_done--> ITERATION_COMPLETED", 1, 1),
        ("ITERATION_COMPLETED --epoch_full--> EPOCH_COMPLETED", 1, 1),
        ("EPOCH_COMPLETED --nothing_left--> COMPLETED", 1, 1),
        ("COMPLETED --done--> IDLE", 1, 1),
    ]


@pytest.mark.parametrize("events", [(), tuple(Events)])
def test_an_observer_is_called_in_the_source_phase_of_the_move(engine: Engine, events: tuple[Events, ...]) -> None:
    for event in events:
        engine.add_event_handler(event, lambda *args: None)
    seen: list[tuple[str, str]] = []
    engine.observe(lambda engine, transition: seen.append((name_of(transition.source), engine.phase.name)))
    engine.run([1, 2], max_epochs=2)
    assert [pair for pair in seen if pair[0] != pair[1]] == []
    assert len(seen) == len(TWO_EPOCHS)


def test_fire_event_does_not_call_observers(engine: Engine) -> None:
    engine.register_events(Mine.FOO)
    seen = moves(engine)
    engine.fire_event(Mine.FOO)
    engine.fire_event(Events.STARTED)
    assert seen == []


def test_observers_are_called_in_the_order_in_which_they_were_added(engine: Engine) -> None:
    seen: list[str] = []
    for name in "ab":
        engine.observe(lambda engine, transition, name=name: seen.append(f"{name}: {transition.label}"))
    engine.run(epoch_length=1)
    assert seen[:4] == ["a: run", "b: run", "a: next_epoch", "b: next_epoch"]


def test_a_removed_observer_is_not_called(engine: Engine) -> None:
    seen: list[str] = []
    observation = engine.observe(lambda engine, transition: seen.append(transition.label))
    engine.add_event_handler(Events.EPOCH_STARTED, lambda: observation.remove())
    other = moves(engine)
    engine.run(epoch_length=1)
    assert seen == ["run", "next_epoch"]
    assert len(other) == 7
    observation.remove()
    assert len(other) == 7


def test_an_observer_added_during_a_run_is_called_from_the_next_move_on(engine: Engine) -> None:
    seen: list[str] = []

    @engine.on(Events.ITERATION_COMPLETED(once=2))
    def _() -> None:
        engine.observe(lambda engine, transition: seen.append(transition.label))

    engine.run([1, 2])
    assert seen == ["epoch_full", "nothing_left", "done"]


def test_an_observation_is_a_context_manager(engine: Engine) -> None:
    seen: list[str] = []
    with engine.observe(lambda engine, transition: seen.append(transition.label)) as observation:
        engine.run(epoch_length=1)
    count = len(seen)
    engine.run(epoch_length=1)
    assert count == len(seen) == 7
    assert observation.observer(engine, engine.lifecycle.transitions[0]) is None


def test_an_observer_that_raises_is_removed_and_logged_and_the_run_continues(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def broken(engine: Engine, transition: Transition) -> None:
        seen.append(transition.label)
        raise LookupError("lost")

    engine.observe(broken)
    others = moves(engine)
    with caplog.at_level(logging.ERROR):
        engine.run(epoch_length=1)
    assert seen == ["run"]
    assert len(others) == 7
    assert engine.outcome == "completed"
    assert [(record.getMessage(), record.exc_info and record.exc_info[0]) for record in caplog.records] == [
        (f"Observer {broken!r} raised at IDLE --run--> STARTED and is removed.", LookupError)
    ]


def test_a_keyboard_interrupt_in_an_observer_ends_the_run(engine: Engine) -> None:
    def stop(engine: Engine, transition: Transition) -> None:
        if transition.label == "step_done":
            raise KeyboardInterrupt

    engine.observe(stop)
    with pytest.raises(KeyboardInterrupt):
        engine.run(epoch_length=1)
    assert engine.outcome == "failed"


@pytest.mark.parametrize("observer", [None, 5, "print"])
def test_an_observer_must_be_callable(engine: Engine, observer: Any) -> None:
    message = f"an observer is called as observer(engine, transition), but {observer!r} is not callable."
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        engine.observe(observer)


def test_the_generated_source_calls_observers_only_while_there_are_any(engine: Engine) -> None:
    before = engine.source
    observation = engine.observe(lambda engine, transition: None)
    assert ("notify(engine" in before, "notify(engine" in engine.source) == (False, True)
    observation.remove()
    assert engine.source == before


def test_observers_are_not_copied_with_the_engine(engine: Engine) -> None:
    seen = moves(engine)
    copy.deepcopy(engine).run(epoch_length=1)
    assert seen == []


def test_an_observation_does_not_keep_the_engine_alive() -> None:
    engine = Engine(echo)
    observation = engine.observe(lambda engine, transition: None)
    engine.run([1])
    gone = weakref.ref(engine)
    del engine
    assert gone() is None
    observation.remove()
