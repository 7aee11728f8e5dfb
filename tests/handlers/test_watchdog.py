"""`Watchdog`: a run that stays too long in one phase is told of, once, and not touched."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("torch")

from fsm_engine import Engine, Events
from fsm_engine.handlers import Stall, Watchdog

SOON = 0.05


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
        assert not thread.is_alive()


def waits(engine: Engine, batch: int) -> None:
    threading.Event().wait(4 * SOON)


def told_of(step: Any, **arguments: Any) -> tuple[Engine, list[Stall], threading.Event]:
    """Return an engine, the stalls that its watchdog will tell of, and what is set when it does."""
    stalls: list[Stall] = []
    told = threading.Event()

    def tell(stall: Stall) -> None:
        stalls.append(stall)
        told.set()

    engine = Engine(step)
    Watchdog(SOON, tell, **arguments).attach(engine)
    return engine, stalls, told


def test_a_stall_is_told_with_phase_counters_and_stacks(caplog: pytest.LogCaptureFixture) -> None:
    def hangs(engine: Engine, batch: int) -> None:
        if batch == 2:
            assert told.wait(30)

    engine, stalls, told = told_of(hangs)
    engine.run([1, 2, 3])
    (stall,) = stalls
    assert (stall.phase.event, stall.epoch, stall.iteration) == (Events.ITERATION_STARTED, 1, 2)
    assert stall.seconds >= SOON
    assert "in hangs" in stall.stacks
    assert "Thread MainThread:" in stall.stacks
    assert "fsm_engine/handlers" not in stall.stacks
    (record,) = [record for record in caplog.records if "Watchdog" in record.getMessage()]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"Watchdog: {stall}"
    assert str(stall).startswith("the run has been in ITERATION_STARTED, epoch 1, iteration 2 for ")


def test_a_stall_in_the_data_is_one_of_its_phase() -> None:
    def data() -> Iterator[int]:
        yield 1
        assert told.wait(30)
        yield 2

    engine, stalls, told = told_of(lambda engine, batch: batch)
    engine.run(data(), epoch_length=2)
    assert [stall.phase.event for stall in stalls] == [Events.GET_BATCH_STARTED]


def test_each_stay_is_told_of_once() -> None:
    def hangs(engine: Engine, batch: int) -> None:
        told.clear()
        assert told.wait(30)
        assert not threading.Event().wait(4 * SOON)

    engine, stalls, told = told_of(hangs)
    engine.run([1, 2])
    assert [stall.iteration for stall in stalls] == [1, 2]


def test_a_run_that_goes_on_is_not_told_of() -> None:
    waiting = threading.Event()
    engine, stalls, _ = told_of(lambda engine, batch: waiting.wait(SOON / 20))
    engine.run(range(60))
    assert stalls == []


def test_a_suspended_run_and_one_that_ended_do_not_stall() -> None:
    engine, stalls, _ = told_of(lambda engine, batch: batch)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), Engine.interrupt)
    engine.run([1, 2])
    assert not threading.Event().wait(4 * SOON)
    engine.run()
    assert not threading.Event().wait(4 * SOON)
    assert stalls == []


def test_phases_may_be_ignored() -> None:
    engine, stalls, _ = told_of(waits, ignore=[Events.ITERATION_STARTED])
    engine.run([1])
    assert stalls == []


def test_the_watch_ends_with_a_run_that_fails_and_goes_on_with_the_next() -> None:
    def fails(engine: Engine, batch: int) -> None:
        assert told.wait(30)
        told.clear()
        raise KeyboardInterrupt

    engine, stalls, told = told_of(fails)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            engine.run([1])
    assert len(stalls) == 2


def test_a_callback_that_raises_is_logged_and_the_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    called = threading.Event()

    def fails(stall: Stall) -> None:
        called.set()
        raise RuntimeError("no one at home")

    engine = Engine(lambda engine, batch: called.wait(30))
    with Watchdog(SOON, fails).watching(engine):
        engine.run([1])
    assert engine.outcome == "completed"
    assert any("the callback" in record.getMessage() and record.exc_info for record in caplog.records)


def test_a_handle_ends_it() -> None:
    engine, stalls = Engine(waits), []
    handle = Watchdog(SOON, stalls.append).attach(engine)
    handle.remove()
    engine.run([1])
    assert stalls == []


def test_an_engine_is_free_without_the_collector() -> None:
    gc.disable()
    try:
        engine, _, _ = told_of(lambda engine, batch: batch)
        engine.run([1])
        for thread in [thread for thread in threading.enumerate() if thread.name == "Watchdog"]:
            thread.join(30)
        gone = weakref.ref(engine)
        del engine
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("after", [0, -1, float("nan")])
def test_a_time_that_is_none_is_refused(after: float) -> None:
    with pytest.raises(ValueError, match="has to be a positive number of seconds"):
        Watchdog(after)


def test_a_callback_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="is not callable"):
        Watchdog(1, callback=5)  # type: ignore[arg-type]
