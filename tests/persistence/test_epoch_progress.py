"""State dicts of runs whose epochs have different lengths: the epoch is kept, and every state dict loads."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import Events
from fsm_engine.persistence.epoch_progress import EPOCH_PROGRESS


class Unsized:
    """Batches without a length, restarted by each pass."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.length))


class Curriculum:
    """A run whose handlers change the epoch length, replace the data, and end epochs early, by a random plan."""

    def __init__(self, seed: int) -> None:
        plan = random.Random(seed)
        self.engine, self.steps = Engine(self._step), []  # type: ignore[var-annotated]
        self.saved: list[tuple[int, str, dict[str, Any]]] = []
        self.kind: Any = plan.choice((Unsized, range))
        self.data = [self.kind(plan.randint(2, 6)) for _ in range(6)]
        self.lengths = [plan.choice((None, plan.randint(1, 6))) for _ in range(6)]
        self.cut = {plan.randint(1, 12) for _ in range(plan.randint(0, 2))}
        self.replaces, self.given = plan.random() < 0.5, plan.choice((None, 3))
        self.engine.add_event_handler(Events.EPOCH_COMPLETED, self._change)
        self.engine.add_event_handler(Events.ITERATION_COMPLETED, self._end_early)

    def _step(self, engine: Engine, batch: Any) -> None:
        # The position in data without a length is derived from the epoch length where that is possible.
        self.steps.append((engine.state.epoch, engine.state.iteration, batch if self.kind is range else None))

    def _change(self, engine: Engine) -> None:
        epoch = engine.state.epoch
        if self.lengths[epoch % 6]:
            engine.state.epoch_length = self.lengths[epoch % 6]
        if self.replaces:
            engine.set_data(self.data[epoch % 6])

    def _end_early(self, engine: Engine) -> None:
        if engine.state.iteration in self.cut:
            engine.terminate_epoch()

    def save(self, engine: Engine) -> None:
        self.saved.append((len(self.steps), engine.phase.name, json.loads(json.dumps(engine.state_dict()))))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_a_run_with_epochs_of_different_lengths_continues_from_its_state_dict(seed: int) -> None:
    whole = Curriculum(seed)
    events = Events.GET_BATCH_COMPLETED | Events.ITERATION_COMPLETED | Events.EPOCH_COMPLETED | Events.COMPLETED
    whole.engine.add_event_handler(events, lambda engine: engine.call_when_safe(whole.save))
    whole.engine.run(whole.data[0], max_iters=16, epoch_length=whole.given)
    for done, phase, state in whole.saved:
        other = Curriculum(seed)
        other.engine.load_state_dict(state)
        assert other.engine.state_dict() == state
        other.engine.add_event_handler(Events.STARTED | Events.RESUMED, other.save)
        if done == len(whole.steps):
            continue
        epoch = whole.steps[done][0]
        if phase == "ITERATION_COMPLETED" and epoch > whole.steps[done - 1][0]:
            continue  # a loaded run does not call the handlers of EPOCH_COMPLETED for this epoch again
        other.engine.run(whole.data[(epoch - 1) % 6] if whole.replaces else whole.data[0])
        assert other.steps == whole.steps[done:], state
        assert other.saved
        assert all(again == state for *_, again in other.saved)


def test_the_state_dict_of_a_regular_run_has_no_more_keys_than_in_pytorch_ignite() -> None:
    engine, states = Engine(lambda engine, batch: batch), []  # type: ignore[var-annotated]
    events = [event for event in Events if event not in (Events.INTERRUPT, Events.EXCEPTION_RAISED)]
    for event in events:
        engine.add_event_handler(event, lambda e, **_: states.append(e.state_dict()))
    engine.run(range(4), max_epochs=3)
    engine.run(range(4), max_epochs=4, epoch_length=4)
    assert {EPOCH_PROGRESS in state for state in states} == {False}


@pytest.mark.parametrize("exactly", [False, True])
def test_a_run_that_reached_max_iters_inside_an_epoch_continues_in_that_epoch(exactly: bool) -> None:
    def made(steps: list[Any], states: list[Any]) -> Engine:
        engine = Engine(lambda engine, batch: steps.append((engine.state.epoch, engine.state.iteration, batch)))
        engine.resumes_exactly = exactly
        for event in (Events.ITERATION_COMPLETED(once=5), Events.TERMINATE, Events.COMPLETED):
            engine.add_event_handler(event, lambda e: e.call_when_safe(lambda e: states.append(e.state_dict())))
        return engine

    states: list[Any] = []
    engine = made([], states)
    engine.run("abc", max_iters=5)
    for saved in [*states, engine.state_dict()]:
        if exactly and saved["ended"]:  # the same script is started again, and has nothing left to do
            idle = made([], states)
            idle.load_state_dict(saved)
            idle.run("abc", max_iters=5)
            assert (idle.state.epoch, idle.state.iteration) == (2, 5)
            saved = states[-1]
        steps: list[Any] = []
        other = made(steps, [])
        other.load_state_dict(saved)
        other.run("abc", max_iters=8)
        assert steps == [(2, 6, "c"), (3, 7, "a"), (3, 8, "b")]


def test_a_state_dict_of_an_epoch_of_unknown_length_loads() -> None:
    engine, other, steps = Engine(lambda engine, batch: batch), None, []  # type: ignore[var-annotated]
    states: list[Any] = []
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda e: states.append(e.state_dict()))
    engine.run(Unsized(3), max_epochs=2)
    other = Engine(lambda engine, batch: steps.append((engine.state.epoch, batch)))
    other.load_state_dict(states[0])
    other.run(Unsized(3))
    assert steps == [(1, 2), (2, 0), (2, 1), (2, 2)]


def test_a_state_dict_beyond_a_limit_that_was_lowered_loads() -> None:
    engine, states = Engine(lambda engine, batch: batch), []  # type: ignore[var-annotated]

    @engine.on(Events.EPOCH_COMPLETED(once=3))
    def lower() -> None:
        engine.state.max_epochs = 1
        states.append(engine.state_dict())

    engine.run(range(2), max_epochs=5)
    other = Engine(lambda engine, batch: batch)
    other.load_state_dict(states[0])
    assert (other.state.epoch, other.state.iteration, other.state.max_epochs) == (3, 6, 1)


@pytest.mark.parametrize("wrong", [3, {}, {"epochs": 1, "iterations": -1, "batches": 0}])
def test_an_invalid_epoch_progress_is_an_error_and_changes_nothing(wrong: Any) -> None:
    engine = Engine(lambda engine, batch: batch)
    state = {"epoch_length": 2, "iteration": 3, "max_epochs": 4, EPOCH_PROGRESS: wrong}
    with pytest.raises(ValueError, match=r"epoch_progress.*epochs.*iterations.*batches"):
        engine.load_state_dict(state)
    assert (engine.state.iteration, engine.state.max_epochs) == (0, None)
