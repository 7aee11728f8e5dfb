"""`BasicTimeProfiler` and `HandlersTimeProfiler`: results in Ignite's form, correct for every kind of run."""

from __future__ import annotations

import gc
import importlib.util
import io
import itertools
import statistics
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st

import fsm_engine
from fsm_engine import Engine, Events, Lifecycle
from fsm_engine.handlers import BasicTimeProfiler, HandlersTimeProfiler
from fsm_engine.handlers.profilers import profiler as profiler_module
from fsm_engine.handlers.profilers.durations import Durations

PROFILERS = [BasicTimeProfiler, HandlersTimeProfiler]
needs_pandas = pytest.mark.skipif(importlib.util.find_spec("pandas") is None, reason="pandas is not installed")


def step(engine: Any, batch: Any) -> Any:
    return batch


def pause(engine: Any) -> None:
    time.sleep(0.0002)


def fire_own(engine: Any, batch: Any) -> None:
    engine.fire_event("own")


OBSERVED = ("STARTED", "EPOCH_STARTED", "GET_BATCH_STARTED", "GET_BATCH_COMPLETED", "ITERATION_STARTED")
OBSERVED += ("ITERATION_COMPLETED", "EPOCH_COMPLETED", "COMPLETED")


def profiled(library: Any, profiler: Any, epochs: int) -> Any:
    """Return `profiler` after a run of an engine of `library` with a handler for every event of training."""
    engine = library.Engine(fire_own)
    engine.register_events("own")
    for name in OBSERVED:
        engine.add_event_handler(library.Events[name], pause)
    engine.add_event_handler("own", pause)
    engine.add_event_handler(library.Events.TERMINATE, pause)
    profiler.attach(engine)
    engine.run([1, 2, 3], max_epochs=epochs)
    return profiler


def shape(value: Any) -> Any:
    """Return `value` with each time replaced by its type, and each index by "index"."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shape(item) for item in value]
    return value if isinstance(value, str) else "index" if isinstance(value, int) else type(value).__name__


@pytest.fixture
def ignite() -> Any:
    engine = pytest.importorskip("ignite.engine")
    engine.handlers = pytest.importorskip("ignite.handlers")
    return engine


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("kind", PROFILERS)
def test_results_have_the_same_form_as_ignites(ignite: Any, kind: Any, epochs: int) -> None:
    ours = profiled(fsm_engine, kind(), epochs).get_results()
    theirs = profiled(ignite, getattr(ignite.handlers, kind.__name__)(), epochs).get_results()
    if kind is HandlersTimeProfiler:  # ours are sorted by event
        ours[:-3], theirs[:-3] = sorted(ours[:-3], key=lambda row: row[1]), sorted(theirs[:-3], key=lambda row: row[1])
    assert shape(ours) == shape(theirs)


@needs_pandas
@pytest.mark.parametrize("kind", PROFILERS)
def test_csv_files_have_the_same_form_as_ignites(ignite: Any, kind: Any, tmp_path: Path) -> None:
    mine, other = tmp_path / "mine.csv", tmp_path / "other.csv"
    profiled(fsm_engine, kind(), 2).write_results(mine)
    profiled(ignite, getattr(ignite.handlers, kind.__name__)(), 2).write_results(str(other))
    ours, theirs = (
        {column[0]: column[1:] for column in zip(*(line.split(",") for line in path.read_text().splitlines()))}
        for path in (mine, other)
    )
    assert ours.keys() == theirs.keys()
    numbers = {"epoch", "iteration", "#"} & ours.keys()
    assert [list(map(float, ours[name])) for name in numbers] == [list(map(float, theirs[name])) for name in numbers]
    assert {name: [float(cell) > 0 for cell in column] for name, column in ours.items()} == {
        name: [float(cell) > 0 for cell in column] for name, column in theirs.items()
    }


def counts(profiler: HandlersTimeProfiler) -> dict[tuple[str, str], int]:
    """Return how often each handler was called, by its name and the name of its event."""
    profiler.get_results()
    return {
        (handler.rpartition(".")[2], getattr(event, "name", str(event))): durations.count
        for (event, handler), durations in profiler._by_event().items()
    }


def test_an_interrupted_run_of_unknown_length_with_max_iters_counts_everything_once() -> None:
    """Ignite refuses such a run, or its results are wrong."""
    engine, profiler, basic = Engine(step), HandlersTimeProfiler(), BasicTimeProfiler()
    profiler.attach(engine)
    basic.attach(engine)
    engine.add_event_handler(Events.ITERATION_COMPLETED, pause)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=4), Engine.interrupt)
    engine.run(iter(range(7)), max_iters=6)
    assert engine.outcome == "interrupted"
    engine.run()
    assert counts(profiler) == {("pause", "ITERATION_COMPLETED"): 6, ("interrupt", "ITERATION_COMPLETED"): 1}
    results = basic.get_results()
    assert profiler._step.count == profiler._data.count == 6
    assert (basic._step.count, list(basic._iterations.kept)) == (6, [1, 2, 3, 4, 5, 6])
    assert results["event_handlers_stats"]["ITERATION_COMPLETED"]["total"] > 6 * 0.0002


class Clock:
    """A clock that stands still until a test moves it, in place of `perf_counter_ns`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        monkeypatch.setattr(profiler_module, "perf_counter_ns", lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_time_while_a_run_is_suspended_is_not_counted(clock: Clock) -> None:
    engine, basic = Engine(step), BasicTimeProfiler()
    basic.attach(engine)
    engine.add_event_handler(Events.GET_BATCH_STARTED(once=2), Engine.interrupt)
    engine.run((clock.sleep(0.5) for _ in range(3)), epoch_length=3)
    clock.sleep(10)
    engine.run()
    assert basic.get_results()["dataflow_stats"]["total"] == 3 * 0.5
    assert basic._data.count == 3


def test_a_new_run_starts_from_zero() -> None:
    engine, profiler, basic = Engine(step), HandlersTimeProfiler(), BasicTimeProfiler()
    profiler.attach(engine)
    basic.attach(engine)
    engine.add_event_handler(Events.ITERATION_COMPLETED, pause)
    for _ in range(2):
        engine.run([1, 2])
        assert counts(profiler) == {("pause", "ITERATION_COMPLETED"): 2}
        basic.get_results()
        assert basic._step.count == 2


def test_the_step_does_not_include_the_handlers_around_it(clock: Clock) -> None:
    engine, profiler, basic = (
        Engine(lambda engine, batch: clock.sleep(0.5)),
        HandlersTimeProfiler(),
        BasicTimeProfiler(),
    )
    profiler.attach(engine)
    basic.attach(engine)
    engine.add_event_handler(Events.ITERATION_STARTED | Events.ITERATION_COMPLETED, lambda: clock.sleep(10))
    engine.run([1, 2])
    assert basic.get_results()["event_handlers_stats"]["total_time"].item() == 4 * 10
    assert basic.get_results()["processing_stats"]["total"] == 2 * 0.5
    assert profiler.get_results()[-2][2] == 2 * 0.5


def test_handlers_that_are_added_removed_or_raise_in_a_run_are_counted() -> None:
    engine, profiler = Engine(step), HandlersTimeProfiler()
    engine.register_events("own")
    profiler.attach(engine)

    @engine.on(Events.ITERATION_COMPLETED(once=1))
    def comes(engine: Engine) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, pause)
        engine.fire_event("own", 5)

    @engine.on("own")
    def given(engine: Engine, number: int = 0) -> None:
        assert number == 5

    @engine.on(Events.COMPLETED)
    def fails() -> None:
        raise KeyboardInterrupt

    @engine.on(Events.TERMINATE)
    def never() -> None: ...

    with pytest.raises(KeyboardInterrupt):
        engine.run([1, 2, 3])
    assert counts(profiler) == {
        ("comes", "ITERATION_COMPLETED"): 1,
        ("pause", "ITERATION_COMPLETED"): 2,
        ("fails", "COMPLETED"): 1,
        ("never", "TERMINATE"): 0,
        ("given", "own"): 1,
    }
    assert [row[2] for row in profiler.get_results() if row[1] == "TERMINATE"] == ["not triggered"]


def test_a_profiler_adds_no_handlers_and_replaces_none() -> None:
    engine = Engine(step)
    engine.add_event_handler(Events.STARTED, pause)
    for profiler in (BasicTimeProfiler(), HandlersTimeProfiler()):
        profiler.attach(engine)
        profiler.attach(engine)
    with engine.record() as timeline:
        engine.run([1])
    assert engine.has_event_handler(pause, Events.STARTED)
    assert [span.handler.name for span in timeline.tracks[0].spans] == ["pause"]
    assert str(engine.explain(Events.STARTED)).count("\n") == 1
    basic = BasicTimeProfiler()
    basic.attach(engine)
    names = basic.get_results()["event_handlers_names"]
    assert {name: value for name, value in names.items() if value} == {"STARTED_names": ["pause"]}


@pytest.mark.parametrize("kind", PROFILERS)
@pytest.mark.parametrize("iterations", [0, 1, 2])
def test_printed_results_have_no_nan(kind: Any, iterations: int, capsys: pytest.CaptureFixture[str]) -> None:
    engine, profiler = Engine(step), kind()
    engine.add_event_handler(Events.STARTED, pause)
    profiler.attach(engine)
    if iterations:
        engine.run(epoch_length=iterations)
    results = profiler.get_results()
    profiler.print_results(results)
    first = capsys.readouterr().out
    profiler.print_results(results)
    assert first == capsys.readouterr().out
    assert "nan" not in first
    assert ("triggered" in first) is True
    assert "pause" in first


def test_a_lifecycle_without_some_events_of_training_is_profiled() -> None:
    lifecycle = Lifecycle("own")
    lifecycle.add_path(Events.STARTED >> Events.COMPLETED)
    engine, basic = Engine(lifecycle=lifecycle), BasicTimeProfiler()
    basic.attach(engine)
    engine.run()
    results = basic.get_results()
    assert results["event_handlers_stats"]["STARTED"] == {"total": 0.0}
    assert results["event_handlers_stats"]["EPOCH_STARTED"] == {"total": "not yet triggered"}
    assert results["event_handlers_names"]["EPOCH_STARTED_names"] == []


def test_a_run_without_data_has_no_wait_for_data() -> None:
    engine, basic = Engine(step), BasicTimeProfiler()
    basic.attach(engine)
    engine.run(epoch_length=3)
    assert_no_data(basic.get_results())


def test_a_run_without_data_has_no_wait_left_from_the_run_before() -> None:
    engine, basic = Engine(step), BasicTimeProfiler()
    basic.attach(engine)
    engine.run([1, 2, 3])
    engine.run(epoch_length=3, max_epochs=1)
    assert_no_data(basic.get_results())


def assert_no_data(results: dict[str, Any]) -> None:
    assert results["dataflow_stats"] == {"total": "not yet triggered"}
    assert results["event_handlers_stats"]["GET_BATCH_STARTED"] == {"total": "not yet triggered"}
    assert set(results["processing_stats"]) == {"total", "min/index", "max/index", "mean", "std"}


@pytest.mark.parametrize("kind", PROFILERS)
def test_memory_is_bounded_and_statistics_are_of_the_whole_run(kind: Any) -> None:
    engine, profiler = Engine(step), kind(capacity=10)
    engine.add_event_handler(Events.ITERATION_STARTED, lambda: None)
    profiler.attach(engine)
    engine.run(range(1000))
    assert max(len(durations.kept) for durations in profiler._durations) <= 21
    profiler.get_results()
    assert max(len(durations.kept) for durations in profiler._durations) == 10
    assert profiler._step.count == profiler._data.count == 1000
    if kind is HandlersTimeProfiler:
        assert list(counts(profiler).values()) == [1000]
    else:
        assert profiler._events[Events.ITERATION_STARTED].count == 1000


@pytest.mark.parametrize("kind", PROFILERS)
def test_results_do_not_depend_on_when_they_are_asked_for(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(capacity: int, results_in_handler: bool = False) -> list[tuple[int, int]]:
        monkeypatch.setattr(profiler_module, "perf_counter_ns", itertools.count(0, 1000).__next__)
        engine, profiler = Engine(fire_own), kind(capacity)
        engine.register_events("own")
        for name in OBSERVED:
            engine.add_event_handler(Events[name], lambda engine: None)
        engine.add_event_handler("own", lambda engine: results_in_handler and profiler.get_results())
        engine.add_event_handler(Events.EPOCH_COMPLETED(once=3), Engine.interrupt)
        profiler.attach(engine)
        engine.run([1, 2, 3], max_epochs=5)
        engine.run()
        profiler.get_results()
        return [(durations.count, durations.total) for durations in profiler._durations]

    expected = measured(1000)
    assert [count for count, _ in expected[:2]] == [15, 15]
    assert measured(1000, results_in_handler=True) == expected


@pytest.mark.parametrize("kind", PROFILERS)
def test_updating_the_statistics_does_not_count(kind: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    updated = []

    def slow(durations: Durations) -> None:
        updated.append(durations)
        clock.sleep(10)
        update(durations)

    update = Durations.update
    engine, profiler = Engine(step), kind(capacity=1)
    engine.add_event_handler(Events.ITERATION_STARTED | Events.ITERATION_COMPLETED, lambda: None)
    profiler.attach(engine)
    monkeypatch.setattr(Durations, "update", slow)
    engine.run(range(20))
    monkeypatch.setattr(Durations, "update", update)
    profiler.get_results()
    assert len(updated) > 20
    assert max(durations.max[0] for durations in profiler._durations) < 10 * 1e9


def test_counters_that_are_not_integers_do_not_break_a_run() -> None:
    engine, basic = Engine(step), BasicTimeProfiler()
    basic.attach(engine)

    @engine.on(Events.ITERATION_COMPLETED(once=2))
    def spoil(engine: Engine) -> None:
        engine.state.epoch = 2**70

    engine.run([1, 2])
    basic.get_results()
    assert (list(basic._epochs[Events.ITERATION_COMPLETED].kept), list(basic._iterations.kept)) == ([1, -1], [1, 2])


@needs_pandas
def test_writing_warns_of_iterations_that_were_dropped(tmp_path: Path) -> None:
    engine, basic = Engine(step), BasicTimeProfiler(capacity=10)
    basic.attach(engine)
    engine.run(range(25))
    with pytest.warns(UserWarning, match=r"first 15 iterations .*capacity="):
        basic.write_results(tmp_path / "rows.csv")
    rows = (tmp_path / "rows.csv").read_text().splitlines()[1:]
    assert [float(row.split(",")[1]) for row in rows] == list(range(16, 26))


def test_short_calls_of_filtered_handlers_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HandlersTimeProfiler, "EVENT_FILTER_THESHOLD_TIME", 3600)
    engine, profiler = Engine(step), HandlersTimeProfiler()
    profiler.attach(engine)
    engine.add_event_handler(Events.ITERATION_COMPLETED(every=2), pause)
    engine.add_event_handler(Events.ITERATION_STARTED, pause)
    engine.run([1, 2])
    assert [row[2] != "not triggered" for row in profiler.get_results()[:2]] == [True, False]


@pytest.mark.parametrize("kind", PROFILERS)
def test_invalid_arguments_raise(kind: Any) -> None:
    with pytest.raises(TypeError, match=r"^Argument engine should be fsm_engine.Engine, but given <class 'int'>.$"):
        kind().attach(5)
    with pytest.raises(ValueError, match="capacity=0 has to be a positive integer"):
        kind(capacity=0)
    one, other, profiler = Engine(step), Engine(step), kind()
    profiler.attach(one)
    with pytest.raises(ValueError, match="attached to another engine"):
        profiler.attach(other)


@pytest.mark.parametrize("kind", PROFILERS)
def test_a_profiled_engine_is_freed_without_the_garbage_collector(kind: Any) -> None:
    gc.disable()
    try:
        engine, profiler = Engine(step), kind()
        profiler.attach(engine)
        engine.run([1])
        gone = weakref.ref(engine)
        del engine
        assert gone() is None
        assert profiler.get_results()
    finally:
        gc.enable()


@given(st.lists(st.integers(0, 10**12), min_size=2), st.integers(1, 20), st.integers(1, 5))
def test_statistics_of_durations_do_not_depend_on_the_capacity(values: list[int], capacity: int, every: int) -> None:
    durations = Durations(capacity)
    for number, value in enumerate(values):
        durations.add(value)
        if number % every == 0:
            durations.update()
    durations.update()
    assert list(durations.kept) == values[-capacity:]
    assert (durations.count, durations.total) == (len(values), sum(values))
    assert durations.min == (min(values), values.index(min(values)))
    assert durations.max == (max(values), values.index(max(values)))
    assert durations.mean == pytest.approx(statistics.fmean(values))
    assert durations.std == pytest.approx(statistics.stdev(values))


class Terminal(io.StringIO):
    """A text stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", PROFILERS)
def test_a_terminal_shows_a_table_with_complete_names(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    engine, profiler = Engine(step), kind()
    engine.add_event_handler(Events.GET_BATCH_COMPLETED, pause)
    profiler.attach(engine)
    engine.run([1, 2])
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", "200")
    profiler.print_results(profiler.get_results())
    assert "GET_BATCH_COMPLETED" in terminal.getvalue()
    assert "pause" in terminal.getvalue()
    assert "nan" not in terminal.getvalue()


def test_a_terminal_shows_plain_text_without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    basic = BasicTimeProfiler()
    basic.attach(engine := Engine(step))
    engine.run([1, 2])
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    text = basic.print_results(basic.get_results())
    assert terminal.getvalue() == f"{text}\n"
