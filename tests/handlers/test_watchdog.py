"""`Watchdog`: which stalls it reports, and that it does not change the run."""

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
def all_threads_end() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
        assert not thread.is_alive()


def waits(engine: Engine, batch: int) -> None:
    threading.Event().wait(4 * SOON)


def watched(step: Any, **arguments: Any) -> tuple[Engine, list[Stall], threading.Event]:
    """Return an engine, the list that its watchdog reports stalls to, and an event that is set by each report."""
    stalls: list[Stall] = []
    reported = threading.Event()

    def report(stall: Stall) -> None:
        stalls.append(stall)
        reported.set()

    engine = Engine(step)
    Watchdog(SOON, report, **arguments).attach(engine)
    return engine, stalls, reported


def test_a_report_has_phase_counters_and_stacks(caplog: pytest.LogCaptureFixture) -> None:
    def hangs(engine: Engine, batch: int) -> None:
        if batch == 2:
            assert reported.wait(30)

    engine, stalls, reported = watched(hangs)
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


def test_a_stall_in_the_data_is_reported_in_the_phase_that_fetches() -> None:
    def data() -> Iterator[int]:
        yield 1
        assert reported.wait(30)
        yield 2

    engine, stalls, reported = watched(lambda engine, batch: batch)
    engine.run(data(), epoch_length=2)
    assert [stall.phase.event for stall in stalls] == [Events.GET_BATCH_STARTED]


def test_each_stay_is_reported_once() -> None:
    def hangs(engine: Engine, batch: int) -> None:
        reported.clear()
        assert reported.wait(30)
        assert not threading.Event().wait(4 * SOON)

    engine, stalls, reported = watched(hangs)
    engine.run([1, 2])
    assert [stall.iteration for stall in stalls] == [1, 2]


def test_a_run_that_moves_is_not_reported() -> None:
    waiting = threading.Event()
    engine, stalls, _ = watched(lambda engine, batch: waiting.wait(SOON / 20))
    engine.run(range(60))
    assert stalls == []


def test_suspended_and_ended_runs_are_not_reported() -> None:
    engine, stalls, _ = watched(lambda engine, batch: batch)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), Engine.interrupt)
    engine.run([1, 2])
    assert not threading.Event().wait(4 * SOON)
    engine.run()
    assert not threading.Event().wait(4 * SOON)
    assert stalls == []


def test_ignored_phases_are_not_reported() -> None:
    engine, stalls, _ = watched(waits, ignore=[Events.ITERATION_STARTED])
    engine.run([1])
    assert stalls == []


def test_the_next_run_after_a_failed_run_is_watched() -> None:
    def fails(engine: Engine, batch: int) -> None:
        assert reported.wait(30)
        reported.clear()
        raise KeyboardInterrupt

    engine, stalls, reported = watched(fails)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            engine.run([1])
    assert len(stalls) == 2


def test_an_exception_in_the_callback_is_logged_and_the_run_continues(caplog: pytest.LogCaptureFixture) -> None:
    called = threading.Event()

    def fails(stall: Stall) -> None:
        called.set()
        raise RuntimeError("callback failed")

    engine = Engine(lambda engine, batch: called.wait(30))
    with Watchdog(SOON, fails).watching(engine):
        engine.run([1])
    assert engine.outcome == "completed"
    assert any("the callback" in record.getMessage() and record.exc_info for record in caplog.records)


def test_removing_the_handle_ends_the_watch() -> None:
    engine, stalls = Engine(waits), []
    handle = Watchdog(SOON, stalls.append).attach(engine)
    handle.remove()
    engine.run([1])
    assert stalls == []


def test_a_watched_engine_is_freed_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        engine, _, _ = watched(lambda engine, batch: batch)
        engine.run([1])
        for thread in [thread for thread in threading.enumerate() if thread.name == "Watchdog"]:
            thread.join(30)
        gone = weakref.ref(engine)
        del engine
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("after", [0, -1, float("nan")])
def test_a_time_that_is_not_positive_is_an_error(after: float) -> None:
    with pytest.raises(ValueError, match=f"after={after}.*positive number of seconds"):
        Watchdog(after)


def test_a_callback_that_is_not_callable_is_an_error() -> None:
    with pytest.raises(TypeError, match="is not callable"):
        Watchdog(1, callback=5)  # type: ignore[arg-type]
