"""Signals: the order and the phases in which an engine handles them, and its reports of pending ones."""

from __future__ import annotations

from typing import Any

import pytest

from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import EventEnum, Events, Scope
from fsm_engine.graph.phases import IDLE, Phase
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import Transition, Trigger


class Extra(EventEnum):
    PAUSE = "pause"


def echo(engine: Engine, batch: Any) -> Any:
    return batch


def moves_of(engine: Engine) -> list[str]:
    moves: list[str] = []
    engine.observe(lambda engine, transition: moves.append(str(transition)))
    return moves


@pytest.mark.parametrize("observed", [False, True])
def test_a_signal_from_the_data_is_handled_after_the_fetch(observed: bool) -> None:
    engine = Engine(echo)
    log: list[str] = []
    if observed:
        engine.add_event_handler(Events.GET_BATCH_COMPLETED, lambda: log.append("handler"))

    def data() -> Any:
        yield 1
        engine.terminate()
        yield 2

    moves = moves_of(engine)
    engine.run(data())
    assert moves[-4:] == [
        "GET_BATCH_STARTED --got_batch--> GET_BATCH_COMPLETED",
        "GET_BATCH_COMPLETED --terminate--> TERMINATE",
        "TERMINATE --end_run--> COMPLETED",
        "COMPLETED --done--> IDLE",
    ]
    assert engine.state.iteration == 1
    assert log == ["handler"] * 2 * observed


@pytest.mark.parametrize("observed", [False, True])
def test_a_signal_during_the_step_waits_for_the_end_of_the_iteration(observed: bool) -> None:
    seen: list[Any] = []

    def step(engine: Engine, batch: Any) -> str:
        engine.terminate()
        seen.append((engine.should_terminate, engine.outcome))
        return "output"

    engine = Engine(step)
    if observed:
        engine.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: seen.append(engine.state.output))
    moves = moves_of(engine)
    engine.run([1, 2])
    assert moves[-4:-2] == [
        "ITERATION_STARTED --step_done--> ITERATION_COMPLETED",
        "ITERATION_COMPLETED --terminate--> TERMINATE",
    ]
    assert seen == [(True, None), *["output"] * observed]
    assert engine.should_terminate
    engine.run([1], max_epochs=3)
    assert engine.outcome == "terminated"


def test_terminate_precedes_terminate_epoch_which_precedes_interrupt() -> None:
    engine = Engine(echo)
    pending: list[tuple[bool, bool, bool]] = []

    def all_at_once() -> None:
        engine.interrupt()
        engine.terminate_epoch()
        pending.append((engine.should_terminate, engine.should_terminate_single_epoch, engine.should_interrupt))

    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), all_at_once)
    moves = moves_of(engine)
    engine.run([1, 2], max_epochs=2)
    assert pending == [(False, True, True)]
    assert moves[-3:] == [
        "ITERATION_COMPLETED --terminate_epoch--> TERMINATE_SINGLE_EPOCH",
        "TERMINATE_SINGLE_EPOCH --end_epoch--> EPOCH_COMPLETED",
        "EPOCH_COMPLETED --interrupt--> INTERRUPT",
    ]
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), engine.terminate, False)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), all_at_once)
    engine.run()
    assert moves[-3:] == [
        "ITERATION_COMPLETED --terminate--> TERMINATE",
        "TERMINATE --end_run--> COMPLETED",
        "COMPLETED --done--> IDLE",
    ]
    assert not engine.should_interrupt


def test_skipped_phases_are_not_entered() -> None:
    engine = Engine(echo)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), lambda: engine.terminate_epoch(True))
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: engine.terminate(skip_completed=True))
    moves = moves_of(engine)
    engine.run([1, 2, 3], max_epochs=3)
    first = moves.index("ITERATION_STARTED --step_done--> ITERATION_COMPLETED")
    assert moves[first : first + 3] == [
        "ITERATION_STARTED --step_done--> ITERATION_COMPLETED",
        "ITERATION_COMPLETED --terminate_epoch--> TERMINATE_SINGLE_EPOCH",
        "TERMINATE_SINGLE_EPOCH --skipped--> EPOCH_STARTED",
    ]
    assert moves[-2:] == ["ITERATION_COMPLETED --terminate--> TERMINATE", "TERMINATE --skipped--> IDLE"]
    assert engine.last_event_name is Events.TERMINATE


def test_skipping_the_end_of_the_last_epoch_leads_to_completed() -> None:
    engine = Engine(echo)
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: engine.terminate_epoch(skip_epoch_completed=True))
    moves = moves_of(engine)
    engine.run([1, 2])
    assert moves[-2:] == ["TERMINATE_SINGLE_EPOCH --skipped_last--> COMPLETED", "COMPLETED --done--> IDLE"]


def test_an_engine_class_can_disable_interrupts() -> None:
    class Steady(Engine):
        interrupt_resume_enabled = False

    with pytest.raises(RuntimeError, match=r"^Engine 'interrupt/resume' feature is disabled\. Please, set"):
        Steady(echo).interrupt()


def test_a_signal_outside_a_run_has_no_effect() -> None:
    engine = Engine(echo)
    engine.terminate()
    engine.interrupt()
    engine.run([1])
    assert engine.outcome == "completed"


def test_a_user_phase_can_defer_signals_and_have_an_entry_action() -> None:
    engine = Engine(echo)
    seen: list[str] = []
    home = next(
        t for t in engine.lifecycle.transitions if (t.source, t.target) == (Events.EPOCH_COMPLETED, Events.COMPLETED)
    )
    engine.lifecycle.remove(home)
    engine.lifecycle.add(
        Phase(
            Extra.PAUSE,
            Scope.RUN,
            entry=(lambda engine: seen.append("entry"),),
            activity=lambda engine: seen.append("activity"),
            defer=lambda engine: True,
        ),
        Transition(Events.EPOCH_COMPLETED, Extra.PAUSE, "pause", Trigger.SIGNAL, Signal.INTERRUPT),
        Transition(Extra.PAUSE, Events.COMPLETED, "on"),
    )
    # EPOCH_COMPLETED has lost its guarded exit, so only the signal ends this run.
    engine.add_event_handler(Events.EPOCH_COMPLETED(once=2), lambda: engine.interrupt())
    engine.add_event_handler(Extra.PAUSE, lambda: (seen.append("handler"), engine.terminate()))
    moves = moves_of(engine)
    engine.run([1])
    assert seen == ["entry", "handler", "activity"]
    assert moves[-3:] == [
        "EPOCH_COMPLETED --pause--> PAUSE",
        "PAUSE --on--> COMPLETED",
        "COMPLETED --done--> IDLE",
    ]
    assert engine.outcome == "completed"
    assert engine.phase.name == IDLE


def test_set_data_outside_a_run_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"^set_data\(\) .*run\(data\)"):
        Engine(echo).set_data([1])


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Events.GET_BATCH_COMPLETED, [10, 20, 21]),
        (Events.ITERATION_COMPLETED, [10, 20, 21]),
        (Events.GET_BATCH_STARTED, [20, 21, 22]),
    ],
)
def test_set_data_gives_the_next_batch(event: Events, expected: list[int]) -> None:
    engine = Engine(echo)
    seen: list[Any] = []
    engine.add_event_handler(Events.ITERATION_COMPLETED(priority=1), lambda: seen.append(engine.state.output))
    handle = engine.add_event_handler(event, lambda: (handle.remove(), engine.set_data([20, 21, 22])))
    engine.run([10, 11, 12])
    assert seen == expected
    engine.add_event_handler(Events.STARTED, lambda: engine.set_data([]))
    with pytest.raises(ValueError, match=r"^Input data has zero size\."):
        engine.run([1])
