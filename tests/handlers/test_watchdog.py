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
from fsm_engine.handlers import Stall, Watchdog, watchdog

SOON = 0.05


class Clock:
    """A clock that stands still until a test moves it, so that a slow machine causes no stall."""

    def __init__(self) -> None:
        self.now = 0.0
        self._looks = 0
        self._looked = threading.Condition()

    def __call__(self) -> float:
        with self._looked:
            self._looks += 1
            self._looked.notify_all()
            return self.now

    def stay(self, seconds: float) -> None:
        """Let the watchdog see the phase that the run is in, then move the clock, and let the watchdog see that."""
        self._wait_for_looks(2)  # the first one may have read the position before
        self.now += seconds
        self._wait_for_looks(1)

    def _wait_for_looks(self, count: int) -> None:
        with self._looked:
            last = self._looks + count
            assert self._looked.wait_for(lambda: self._looks >= last, 100)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(watchdog, "monotonic", made)
    return made


@pytest.fixture(autouse=True)
def all_threads_end() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(100)
        assert not thread.is_alive()


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


def test_a_report_has_phase_counters_and_stacks(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    def hangs(engine: Engine, batch: int) -> None:
        if batch == 2:
            clock.stay(2 * SOON)
            assert reported.wait(100)

    engine, stalls, reported = watched(hangs)
    engine.run([1, 2, 3])
    (stall,) = stalls
    assert (stall.phase.event, stall.epoch, stall.iteration) == (Events.ITERATION_STARTED, 1, 2)
    assert stall.seconds >= SOON
    assert "in hangs" in stall.stacks
    assert "Thread MainThread:" in stall.stacks
    assert "in _report" not in stall.stacks  # the thread that reports; watchdogs of other tests may still wait
    (record,) = [record for record in caplog.records if "Watchdog" in record.getMessage()]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"Watchdog: {stall}"
    assert str(stall).startswith("the run has been in ITERATION_STARTED, epoch 1, iteration 2 for ")


def test_a_stall_in_the_data_is_reported_in_the_phase_that_fetches(clock: Clock) -> None:
    def data() -> Iterator[int]:
        yield 1
        clock.stay(2 * SOON)
        assert reported.wait(100)
        yield 2

    engine, stalls, reported = watched(lambda engine, batch: batch)
    engine.run(data(), epoch_length=2)
    assert [stall.phase.event for stall in stalls] == [Events.GET_BATCH_STARTED]


def test_each_stay_is_reported_once(clock: Clock) -> None:
    def hangs(engine: Engine, batch: int) -> None:
        reported.clear()
        clock.stay(2 * SOON)
        assert reported.wait(100)
        clock.now += 4 * SOON
        assert not threading.Event().wait(SOON)

    engine, stalls, reported = watched(hangs)
    engine.run([1, 2])
    assert [stall.iteration for stall in stalls] == [1, 2]


def test_a_run_that_moves_is_not_reported(clock: Clock) -> None:
    engine, stalls, _ = watched(lambda engine, batch: clock.stay(0.6 * SOON))
    engine.run(range(10))
    assert stalls == []


def test_suspended_and_ended_runs_are_not_reported(clock: Clock) -> None:
    engine, stalls, _ = watched(lambda engine, batch: batch)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), Engine.interrupt)
    engine.run([1, 2])
    clock.now += 4 * SOON
    assert not threading.Event().wait(2 * SOON)
    engine.run()
    clock.now += 4 * SOON
    assert not threading.Event().wait(2 * SOON)
    assert stalls == []


def test_ignored_phases_are_not_reported(clock: Clock) -> None:
    engine, stalls, _ = watched(lambda engine, batch: clock.stay(2 * SOON), ignore=[Events.ITERATION_STARTED])
    engine.run([1])
    assert stalls == []


def test_the_next_run_after_a_failed_run_is_watched(clock: Clock) -> None:
    def fails(engine: Engine, batch: int) -> None:
        clock.stay(2 * SOON)
        assert reported.wait(100)
        reported.clear()
        raise KeyboardInterrupt

    engine, stalls, reported = watched(fails)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            engine.run([1])
    assert len(stalls) == 2


def test_an_exception_in_the_callback_is_logged_and_the_run_continues(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    called = threading.Event()

    def stalls(engine: Engine, batch: int) -> None:
        clock.stay(2 * SOON)
        assert called.wait(100)

    def fails(stall: Stall) -> None:
        called.set()
        raise RuntimeError("callback failed")

    engine = Engine(stalls)
    with Watchdog(SOON, fails).watching(engine):
        engine.run([1])
    assert engine.outcome == "completed"
    assert any("the callback" in record.getMessage() and record.exc_info for record in caplog.records)


def test_removing_the_handle_ends_the_watch(clock: Clock) -> None:
    def waits(engine: Engine, batch: int) -> None:
        clock.now += 4 * SOON
        threading.Event().wait(2 * SOON)

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
            thread.join(100)
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
