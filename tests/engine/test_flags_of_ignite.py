"""Flags, keys and log lines that handlers written for pytorch-ignite read: the same on both libraries."""

from __future__ import annotations

import logging
import re
from typing import Any

import ignite.engine
import ignite.handlers
import pytest
import torch

import fsm_engine
import fsm_engine.handlers
from fsm_engine import Engine, Events

LIBRARIES = {"fsm_engine": fsm_engine, "ignite": ignite.engine}


def echo(engine: Any, batch: Any) -> Any:
    return batch


def flags(engine: Any) -> tuple[Any, Any]:
    return engine.should_terminate, engine.should_terminate_single_epoch


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("skip", [False, True])
def test_terminate_outside_a_run_sets_the_flag_that_a_run_resets(library: str, skip: bool) -> None:
    engine = LIBRARIES[library].Engine(echo)
    assert engine.should_terminate is False
    engine.terminate(skip_completed=skip)
    assert engine.should_terminate == ("skip_completed" if skip else True)
    engine.run([1, 2, 3])
    assert engine.state.iteration == 3
    assert engine.should_terminate is False


def walk(library: str, action: str, **options: Any) -> list[Any]:
    """Return the flags at each event of a run in which a handler calls a method in iteration 2 of 4."""
    core = LIBRARIES[library]
    engine, seen = core.Engine(echo), []
    engine.add_event_handler(core.Events.ITERATION_COMPLETED(once=2), lambda engine: getattr(engine, action)(**options))
    for event in core.Events:
        if event.name not in ("EXCEPTION_RAISED", "RESUMED"):
            engine.add_event_handler(event, lambda engine, name=event.name, **_: seen.append((name, flags(engine))))
    engine.run([1, 2, 3, 4], max_epochs=2)
    return [*seen, flags(engine)]


ACTIONS = [
    ("terminate", {}),
    ("terminate", {"skip_completed": True}),
    ("terminate_epoch", {}),
    ("terminate_epoch", {"skip_epoch_completed": True}),
]


@pytest.mark.parametrize(("action", "options"), ACTIONS)
def test_flags_are_those_of_ignite_at_every_event(action: str, options: dict[str, bool]) -> None:
    assert walk("fsm_engine", action, **options) == walk("ignite", action, **options)


def assign(library: str, flag: str, value: Any) -> list[Any]:
    core = LIBRARIES[library]
    engine, seen = core.Engine(echo), []
    engine.add_event_handler(core.Events.ITERATION_COMPLETED(once=2), lambda engine: setattr(engine, flag, value))
    for event in ("TERMINATE", "TERMINATE_SINGLE_EPOCH", "EPOCH_COMPLETED", "COMPLETED", "ITERATION_COMPLETED"):
        engine.add_event_handler(core.Events[event], lambda engine, name=event, **_: seen.append(name))
    engine.run([1, 2, 3], max_epochs=2)
    return seen


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("should_terminate", True),
        ("should_terminate", "skip_completed"),
        ("should_terminate_single_epoch", True),
        ("should_terminate_single_epoch", "skip_epoch_completed"),
        ("should_terminate", False),
        ("should_terminate_single_epoch", False),
    ],
)
def test_assigned_flags_act_as_in_ignite(flag: str, value: Any) -> None:
    assert assign("fsm_engine", flag, value) == assign("ignite", flag, value)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_request_can_be_withdrawn(library: str) -> None:
    core = LIBRARIES[library]
    engine = core.Engine(echo)

    @engine.on(core.Events.ITERATION_COMPLETED(once=1))
    def change_of_mind(engine: Any) -> None:
        engine.terminate()
        engine.should_terminate = False
        engine.terminate_epoch()
        engine.should_terminate_single_epoch = False

    engine.run([1, 2, 3])
    assert engine.state.iteration == 3


def test_should_interrupt_is_assignable() -> None:
    engine = Engine(echo)
    engine.add_event_handler(
        Events.ITERATION_COMPLETED(once=1), lambda engine: setattr(engine, "should_interrupt", True)
    )
    engine.run([1, 2, 3])
    assert (engine.outcome, engine.state.iteration) == ("interrupted", 1)
    engine.add_event_handler(
        Events.ITERATION_COMPLETED(once=2), lambda engine: setattr(engine, "should_interrupt", True)
    )
    engine.add_event_handler(
        Events.ITERATION_COMPLETED(once=2), lambda engine: setattr(engine, "should_interrupt", False)
    )
    engine.run()
    assert (engine.outcome, engine.state.iteration) == ("completed", 3)


def test_a_request_on_a_suspended_engine_is_not_saved_in_its_state_dict() -> None:
    engine = Engine(echo)
    engine.resumes_exactly = True
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), Engine.interrupt)
    engine.run([1, 2, 3])
    engine.terminate()
    other = Engine(echo)
    other.resumes_exactly = True
    other.load_state_dict(engine.state_dict())
    assert other.run([1, 2, 3]).iteration == 3


@pytest.mark.parametrize("library", LIBRARIES)
def test_user_keys_have_the_private_name_of_ignite(library: str) -> None:
    engine = LIBRARIES[library].Engine(echo)
    engine._state_dict_user_keys.append("alpha")
    engine.state.alpha = 3
    assert engine.state_dict()["alpha"] == 3
    assert engine.state_dict_user_keys == ["alpha"]


def epoch_lines(library: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    engine = LIBRARIES[library].Engine(echo)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        engine.run([1], max_epochs=2)
    lines = [record.message for record in caplog.records if record.message.startswith("Epoch")]
    return [re.sub(r"\d\d:\d\d:\d\d\.\d{3}", "T", line) for line in lines]


def test_log_line_of_an_epoch_is_that_of_ignite(caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = epoch_lines("fsm_engine", caplog), epoch_lines("ignite", caplog)
    assert ours == theirs == [f"Epoch[{epoch}] Complete. Time taken: T" for epoch in (1, 2)]


HANDLERS = {"fsm_engine": fsm_engine.handlers, "ignite": ignite.handlers}


@pytest.mark.parametrize("library", LIBRARIES)
def test_early_stopping_logs_at_info_and_has_deprecated_setters(library: str, caplog: pytest.LogCaptureFixture) -> None:
    engine = LIBRARIES[library].Engine(echo)
    stopping = HANDLERS[library].EarlyStopping(1, lambda engine: 1.0, engine)
    if library == "ignite":
        stopping.logger = engine.logger
    with caplog.at_level(logging.INFO):
        stopping(engine)
        stopping(engine)
    assert [r.levelname for r in caplog.records if "Stop training" in r.message] == ["INFO"]
    assert engine.should_terminate is True
    for old, new, value in (
        ("min_delta", "threshold", 0.5),
        ("min_delta_mode", "threshold_mode", "rel"),
        ("cumulative_delta", "cumulative", True),
    ):
        with pytest.warns(DeprecationWarning, match=old):
            setattr(stopping, old, value)
        assert getattr(stopping, new) == value


@pytest.mark.parametrize("library", LIBRARIES)
def test_learning_rate_finder_refuses_a_model_as_optimizer(library: str) -> None:
    engine, model = LIBRARIES[library].Engine(echo), torch.nn.Linear(1, 1)
    finder = HANDLERS[library].FastaiLRFinder()
    with (
        pytest.raises(TypeError, match="should be torch optimizer"),
        finder.attach(engine, {"model": model, "optimizer": model}) as finding,
    ):
        finding.run([1])


def endless() -> Any:
    while True:
        yield round(torch.rand(1).item(), 6)


def deterministic(library: str, iteration: int | None) -> list[float]:
    """Return the batches of a run on an endless iterator, from its beginning or from a loaded iteration."""
    seen: list[float] = []
    engine = LIBRARIES[library].DeterministicEngine(lambda engine, batch: seen.append(batch))
    torch.manual_seed(5)
    if iteration is None:
        engine.run(endless(), max_epochs=3, epoch_length=4)
    else:
        state = {"iteration": iteration, "epoch_length": 4, "max_epochs": 3, "rng_states": None}
        engine.load_state_dict(state)
        engine.run(endless())
    return seen


@pytest.mark.parametrize("iteration", [None, 4, 6, 9])
def test_deterministic_engine_resumes_an_endless_iterator_with_the_batches_of_ignite(iteration: int | None) -> None:
    batches = deterministic("fsm_engine", iteration)
    assert batches == deterministic("ignite", iteration)
    assert batches == deterministic("fsm_engine", None)[iteration or 0 :]
