"""`Timer`: pausing, averages, and times between events of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("torch")

from fsm_engine import Engine, Events
from fsm_engine.handlers import Timer
from fsm_engine.handlers import timer as timer_module

Clock = Callable[[float], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the clock with one that only moves when the test calls it: ``clock(2)`` moves it by two seconds."""
    now = [100.0]
    monkeypatch.setattr(timer_module, "running_time", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


def test_a_new_timer_is_running(clock: Clock) -> None:
    timer = Timer()
    clock(3)
    assert (timer.value(), timer.total, timer.step_count, timer.running) == (3, 0, 0, True)


def test_a_paused_timer_does_not_count_until_it_is_resumed(clock: Clock) -> None:
    timer, values = Timer(), []
    for act in (timer.pause, timer.pause, timer.resume, timer.resume, timer.pause):
        clock(1)
        act()
        values.append((timer.total, timer.value(), timer.running))
    assert values == [(1, 1, False), (1, 1, False), (1, 1, True), (1, 2, True), (3, 3, False)]


def test_reset_starts_the_timer_from_zero(clock: Clock) -> None:
    timer = Timer()
    clock(5)
    timer.step()
    timer.pause()
    assert timer.reset() is timer
    assert (timer.total, timer.step_count, timer.running) == (0, 0, True)
    clock(2)
    assert timer.value() == 2


def test_the_average_is_per_step_and_the_whole_time_before_the_first_step(clock: Clock) -> None:
    timer, values = Timer(average=True), []
    for _ in range(3):
        clock(6)
        values.append(timer.value())
        timer.step()
        values.append(timer.value())
    assert values == [6, 6, 12, 6, 9, 6]


def test_every_method_of_a_timer_can_handle_any_event(clock: Clock) -> None:
    timer = Timer()
    for method in (timer.pause, timer.resume, timer.step, timer.reset):
        method("engine", ValueError("an error"))
    assert (timer.step_count, timer.running) == (0, True)


def test_an_attached_timer_measures_the_run(clock: Clock) -> None:
    engine = Engine(lambda engine, batch: clock(batch))
    timer = Timer()
    assert timer.attach(engine) is timer
    clock(50)
    engine.run([1, 2])
    clock(50)
    assert (timer.value(), timer.running) == (3, False)


def test_an_attached_timer_measures_the_step_without_its_batch(clock: Clock) -> None:
    def data() -> Iterator[int]:
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


def test_an_unknown_event_is_an_error() -> None:
    step: Any = "lunch"
    with pytest.raises(ValueError, match="'lunch' is not a valid event"):
        Timer().attach(Engine(lambda engine, batch: batch), step=step)
