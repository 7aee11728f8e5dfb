"""`BasicTimeProfiler` and `HandlersTimeProfiler`: their tables are Ignite's, and right whatever happens in a run."""

from __future__ import annotations

import gc
import importlib.util
import io
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
from fsm_engine import Engine, Events
from fsm_engine.handlers import BasicTimeProfiler, HandlersTimeProfiler
from fsm_engine.timeline.durations import Durations

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
    """Return `profiler` of `library` after a run in which every event of training has a handler."""
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
    """Return `value` with the type of each number that is a time in its place, and without indices."""
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
def test_results_have_the_form_of_ignites(ignite: Any, kind: Any, epochs: int) -> None:
    ours = profiled(fsm_engine, kind(), epochs).get_results()
    theirs = profiled(ignite, getattr(ignite.handlers, kind.__name__)(), epochs).get_results()
    if kind is HandlersTimeProfiler:  # ours are in the order in which events come
        ours[:-3], theirs[:-3] = sorted(ours[:-3], key=lambda row: row[1]), sorted(theirs[:-3], key=lambda row: row[1])
    assert shape(ours) == shape(theirs)


@needs_pandas
@pytest.mark.parametrize("kind", PROFILERS)
def test_files_have_the_form_of_ignites(ignite: Any, kind: Any, tmp_path: Path) -> None:
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
    return {
        (handler.rpartition(".")[2], getattr(event, "name", str(event))): durations.statistics.count
        for (event, handler), durations in profiler._by_event().items()
    }


def test_it_is_where_ignite_refuses_or_is_wrong_that_runs_are_right() -> None:
    """`max_iters`, unknown length, an epoch cut short, an interrupt: every call is counted, and once."""
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
    assert profiler._step.statistics.count == profiler._data.statistics.count == 6
    assert (basic._step.statistics.count, list(basic._iterations.kept)) == (6, [1, 2, 3, 4, 5, 6])
    assert results["event_handlers_stats"]["ITERATION_COMPLETED"]["total"] > 6 * 0.0002


def test_the_time_in_which_a_run_is_suspended_is_nobodys() -> None:
    engine, basic = Engine(step), BasicTimeProfiler()
    basic.attach(engine)
    engine.add_event_handler(Events.GET_BATCH_STARTED(once=2), Engine.interrupt)
    engine.run([1, 2, 3])
    time.sleep(0.2)
    engine.run()
    assert basic._data.statistics.count == 3
    assert basic.get_results()["dataflow_stats"]["total"] < 0.1


def test_a_new_run_starts_from_zero() -> None:
    engine, profiler, basic = Engine(step), HandlersTimeProfiler(), BasicTimeProfiler()
    profiler.attach(engine)
    basic.attach(engine)
    engine.add_event_handler(Events.ITERATION_COMPLETED, pause)
    for _ in range(2):
        engine.run([1, 2])
        assert counts(profiler) == {("pause", "ITERATION_COMPLETED"): 2}
        assert basic._step.statistics.count == 2


def test_the_step_is_measured_without_the_handlers_around_it() -> None:
    engine, profiler, basic = (
        Engine(lambda engine, batch: time.sleep(0.001)),
        HandlersTimeProfiler(),
        BasicTimeProfiler(),
    )
    profiler.attach(engine)
    basic.attach(engine)
    slow = 0.1
    engine.add_event_handler(Events.ITERATION_STARTED | Events.ITERATION_COMPLETED, lambda: time.sleep(slow))
    engine.run([1, 2])
    for statistics in (profiler._step.statistics, basic._step.statistics):
        assert 2 * 0.001 <= statistics.total / 1e9 < slow
    assert basic.get_results()["event_handlers_stats"]["total_time"].item() >= 4 * slow


def test_handlers_may_come_and_go_and_those_that_raise_count() -> None:
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


def test_nothing_is_replaced_or_listed_that_is_the_profilers_own() -> None:
    engine = Engine(step)
    engine.add_event_handler(Events.STARTED, pause)
    for profiler in (BasicTimeProfiler(), HandlersTimeProfiler()):
        profiler.attach(engine)
        profiler.attach(engine)
    with engine.record() as timeline:
        engine.run([1])
    assert engine.has_event_handler(pause, Events.STARTED)
    assert [span.called.handler for span in timeline.tracks[0].spans] == ["pause"]
    assert engine.explain(Events.STARTED).count("\n") == 1
    basic = BasicTimeProfiler()
    basic.attach(engine)
    names = basic.get_results()["event_handlers_names"]
    assert {name: value for name, value in names.items() if value} == {"STARTED_names": ["pause"]}


@pytest.mark.parametrize("kind", PROFILERS)
@pytest.mark.parametrize("iterations", [0, 1, 2])
def test_what_is_printed_has_no_nan(kind: Any, iterations: int, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_a_run_without_data_waits_for_none() -> None:
    engine, basic = Engine(step), BasicTimeProfiler()
    basic.attach(engine)
    engine.run(epoch_length=3)
    results = basic.get_results()
    assert results["dataflow_stats"] == {"total": "not yet triggered"}
    assert results["event_handlers_stats"]["GET_BATCH_STARTED"] == {"total": "not yet triggered"}
    assert set(results["processing_stats"]) == {"total", "min/index", "max/index", "mean", "std"}


@pytest.mark.parametrize("kind", PROFILERS)
def test_memory_is_bounded_and_statistics_are_of_all(kind: Any) -> None:
    engine, profiler = Engine(step), kind(room=10)
    engine.add_event_handler(Events.ITERATION_STARTED, lambda: None)
    profiler.attach(engine)
    engine.run(range(1000))
    assert max(len(durations.kept) for durations in profiler._durations()) <= 21
    assert profiler._step.statistics.count == 1000


@needs_pandas
def test_rows_that_are_gone_are_told(tmp_path: Path) -> None:
    engine, basic = Engine(step), BasicTimeProfiler(room=10)
    basic.attach(engine)
    engine.run(range(25))
    with pytest.warns(UserWarning, match="the first 15 iterations are not in"):
        basic.write_results(tmp_path / "rows.csv")
    rows = (tmp_path / "rows.csv").read_text().splitlines()[1:]
    assert [float(row.split(",")[1]) for row in rows] == list(range(16, 26))


def test_calls_of_filtered_handlers_may_be_left_out_by_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HandlersTimeProfiler, "EVENT_FILTER_THESHOLD_TIME", 3600)
    engine, profiler = Engine(step), HandlersTimeProfiler()
    profiler.attach(engine)
    engine.add_event_handler(Events.ITERATION_COMPLETED(every=2), pause)
    engine.add_event_handler(Events.ITERATION_STARTED, pause)
    engine.run([1, 2])
    assert [row[2] != "not triggered" for row in profiler.get_results()[:2]] == [True, False]


@pytest.mark.parametrize("kind", PROFILERS)
def test_mistakes_are_refused(kind: Any) -> None:
    with pytest.raises(TypeError, match=r"^Argument engine should be fsm_engine.Engine, but given <class 'int'>.$"):
        kind().attach(5)
    with pytest.raises(ValueError, match="has to be a positive integer"):
        kind(room=0)
    one, other, profiler = Engine(step), Engine(step), kind()
    profiler.attach(one)
    with pytest.raises(ValueError, match="attached to another engine"):
        profiler.attach(other)


@pytest.mark.parametrize("kind", PROFILERS)
def test_an_engine_is_free_without_the_collector(kind: Any) -> None:
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


@given(st.lists(st.integers(0, 10**12), min_size=2), st.integers(1, 20))
def test_statistics_are_the_same_however_much_is_kept(values: list[int], room: int) -> None:
    whole, folded = Durations(), Durations()
    for value in values:
        whole.add(value)
        folded.add(value)
        folded.keep(room)
    assert folded.statistics == whole.statistics
    assert list(folded.kept) == values[-room:]
    found = whole.statistics
    assert (found.min, found.max) == (
        (min(values), values.index(min(values))),
        (max(values), values.index(max(values))),
    )
    assert found.mean == pytest.approx(sum(values) / len(values))


class Terminal(io.StringIO):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", PROFILERS)
def test_a_terminal_gets_a_table_with_every_name_whole(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_without_rich_a_terminal_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    basic = BasicTimeProfiler()
    basic.attach(engine := Engine(step))
    engine.run([1, 2])
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    text = basic.print_results(basic.get_results())
    assert terminal.getvalue() == f"{text}\n"
