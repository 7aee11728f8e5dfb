"""What the small handlers do: Timer and TerminateOnNan."""

from __future__ import annotations

import logging
import math
import pickle

import numpy as np
import pytest
import torch

from fsm_engine import Engine, Events
from fsm_engine.handlers import TerminateOnNan, Timer
from fsm_engine.handlers import timer as timer_module

INF, NAN = math.inf, math.nan


def echo(engine, batch):
    return batch


# Timer


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves: ``clock(2)`` lets two seconds pass."""
    now = [100.0]
    monkeypatch.setattr(timer_module, "perf_counter", lambda: now[0])

    def passes(seconds):
        now[0] += seconds

    return passes


def test_a_timer_runs_from_when_it_is_made(clock):
    timer = Timer()
    clock(3)

    assert (timer.value(), timer.total, timer.step_count, timer.running) == (3, 0, 0, True)


def test_a_paused_timer_stands_still_until_it_is_resumed(clock):
    timer, values = Timer(), []
    for act in (timer.pause, timer.pause, timer.resume, timer.resume, timer.pause):
        clock(1)
        act()
        values.append((timer.total, timer.value(), timer.running))

    assert values == [(1, 1, False), (1, 1, False), (1, 1, True), (1, 2, True), (3, 3, False)]


def test_a_reset_starts_a_timer_from_zero(clock):
    timer = Timer()
    clock(5)
    timer.step()
    timer.pause()

    assert timer.reset() is timer
    assert (timer.total, timer.step_count, timer.running) == (0, 0, True)
    clock(2)
    assert timer.value() == 2


def test_an_average_is_per_step_and_before_the_first_step_all_of_it(clock):
    timer, values = Timer(average=True), []
    for _ in range(3):
        clock(6)
        values.append(timer.value())
        timer.step()
        values.append(timer.value())

    assert values == [6, 6, 12, 6, 9, 6]


def test_every_method_of_a_timer_can_be_a_handler_of_any_event(clock):
    timer = Timer()
    for method in (timer.pause, timer.resume, timer.step, timer.reset):
        method("engine", ValueError("an error"))

    assert (timer.step_count, timer.running) == (0, True)


def test_an_attached_timer_measures_the_run(clock):
    engine = Engine(lambda engine, batch: clock(batch))
    timer = Timer()
    assert timer.attach(engine) is timer
    clock(50)

    engine.run([1, 2])
    clock(50)

    assert (timer.value(), timer.running) == (3, False)


def test_an_attached_timer_measures_a_step_without_its_data(clock):
    def data():
        for seconds in (1, 2, 6):
            clock(100)
            yield seconds

    engine = Engine(lambda engine, batch: clock(batch))
    timer = Timer(average=True).attach(
        engine,
        start=Events.EPOCH_STARTED,
        resume=Events.ITERATION_STARTED,
        pause=Events.EPOCH_STARTED | Events.ITERATION_COMPLETED,
        step=Events.ITERATION_COMPLETED(every=1),
    )

    engine.run(data(), epoch_length=3)

    assert (timer.value(), timer.total, timer.step_count) == (3, 9, 3)


def test_a_timer_on_an_unknown_event_is_an_error():
    with pytest.raises(ValueError, match="'lunch' is not a valid event"):
        Timer().attach(Engine(echo), step="lunch")


# TerminateOnNan


def run_with(handler, outputs):
    engine = Engine(echo)
    engine.add_event_handler(Events.ITERATION_COMPLETED, handler)
    return engine.run(outputs)


@pytest.mark.parametrize(
    ("output", "place"),
    [
        (NAN, ""),
        (INF, ""),
        (-INF, ""),
        (complex(0, NAN), ""),
        (np.float32("inf"), ""),
        (torch.tensor(NAN), ""),
        (torch.tensor([[1, 2], [-INF, 3]]), ""),
        (torch.tensor(complex(INF, 0)), ""),
        ((1.0, NAN), "[1]"),
        ({"loss": 1.0, "parts": [0.5, {"a": torch.tensor([1.0, INF])}, NAN]}, "['parts'][1]['a']"),
    ],
    ids=str,
)
def test_a_run_ends_in_the_iteration_whose_output_is_not_finite(output, place, caplog):
    with caplog.at_level(logging.WARNING):
        state = run_with(TerminateOnNan(), [1.0, output, 3.0])

    assert state.iteration == 2
    assert caplog.messages == [
        f"TerminateOnNan: output{place} of iteration 2 holds NaN or infinity. The run is terminated."
    ]


@pytest.mark.parametrize(
    "output",
    [
        0.5,
        True,
        10**400,
        "nan",
        torch.tensor([1, 2]),
        torch.tensor([]),
        torch.tensor(3.4e38),
        ("inf", [1.0, {"a": 2j, "b": torch.zeros(2)}], {}),
    ],
    ids=str,
)
def test_a_run_goes_on_while_its_output_is_finite(output, caplog):
    with caplog.at_level(logging.WARNING):
        state = run_with(TerminateOnNan(), [output] * 3)

    assert (state.iteration, caplog.messages) == (3, [])


def test_only_what_the_output_transform_returns_is_looked_at(caplog):
    handler = TerminateOnNan(output_transform=lambda output: output["loss"])

    state = run_with(handler, [{"loss": 1.0, "other": NAN}, {"loss": [NAN], "other": 1.0}, {}])

    assert state.iteration == 2
    assert caplog.messages == ["TerminateOnNan: output[0] of iteration 2 holds NaN or infinity. The run is terminated."]


@pytest.mark.parametrize("output", [None, {1.0}], ids=str)
def test_an_output_that_cannot_be_looked_at_is_an_error(output):
    with pytest.raises(TypeError) as caught:
        run_with(TerminateOnNan(), [{"loss": output}])

    assert str(caught.value) == (
        f"TerminateOnNan looks at numbers, tensors, mappings, tuples and lists, but the output holds {output!r}. "
        f"Leave it out with output_transform=."
    )


def test_terminate_on_nan_can_be_pickled():
    assert run_with(pickle.loads(pickle.dumps(TerminateOnNan())), [NAN, 1.0]).iteration == 1
