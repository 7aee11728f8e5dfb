"""`Engine.fire_event`: which handlers it calls, and how it changes the engine."""

from __future__ import annotations

from typing import Any

import pytest

from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import EventEnum, Events


class Mine(EventEnum):
    FOO = "foo"
    BAR = "bar"


def echo(engine: Engine, batch: Any) -> Any:
    return batch


@pytest.fixture
def engine() -> Engine:
    """An engine with the callback events Mine.FOO and Mine.BAR."""
    engine = Engine(echo)
    engine.register_events(*Mine)
    return engine


def fail(engine: Engine) -> None:
    raise LookupError("lost")


def test_firing_an_event_without_handlers_sets_last_event_name(engine: Engine) -> None:
    assert engine.last_event_name is None
    engine.fire_event(Mine.FOO)
    assert engine.last_event_name is Mine.FOO
    engine.fire_event(Mine.BAR(every=2))
    assert engine.last_event_name is Mine.BAR


def test_firing_a_filtered_event_fires_the_event(engine: Engine) -> None:
    called: list[int] = []
    engine.add_event_handler(Mine.FOO(every=2), lambda: called.append(1))
    for _ in range(4):
        engine.fire_event(Mine.FOO(every=3))
    assert called == [1, 1]


def test_firing_a_phase_with_fire_event_calls_its_handlers_and_does_not_move(engine: Engine) -> None:
    called: list[str] = []
    for event in (Events.STARTED, Events.EPOCH_STARTED, Events.COMPLETED):
        engine.add_event_handler(event, called.append, event.name)
    engine.fire_event(Events.EPOCH_STARTED)
    assert (called, engine.phase.name, engine.state.epoch) == (["EPOCH_STARTED"], "IDLE", 0)
    engine.add_event_handler(Events.ITERATION_STARTED, lambda: engine.fire_event(Events.COMPLETED))
    engine.run([1])
    assert called[1:] == ["STARTED", "EPOCH_STARTED", "COMPLETED", "COMPLETED"]


def test_an_exception_of_a_handler_leaves_fire_event_before_the_next_handler(engine: Engine) -> None:
    called: list[str] = []
    engine.add_event_handler(Mine.FOO, called.append, "before")
    engine.add_event_handler(Mine.FOO, fail)
    engine.add_event_handler(Mine.FOO, called.append, "after")
    with pytest.raises(LookupError, match=r"^lost\b"):
        engine.fire_event(Mine.FOO)
    assert called == ["before"]


def test_events_fired_in_a_step_come_between_the_events_of_its_iteration() -> None:
    def step(engine: Engine, batch: Any) -> None:
        engine.fire_event(Mine.FOO)
        engine.fire_event(Mine.BAR)

    engine = Engine(step)
    engine.register_events(*Mine)
    called: list[Any] = []
    for event in (Events.ITERATION_COMPLETED, Mine.BAR, Mine.FOO, Events.ITERATION_STARTED):
        engine.add_event_handler(event, lambda engine: called.append(engine.last_event_name))
    engine.run([1])
    assert called == [Events.ITERATION_STARTED, Mine.FOO, Mine.BAR, Events.ITERATION_COMPLETED]
