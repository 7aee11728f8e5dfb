"""The comparison with other libraries: all peers do the same work, and table and plots show the stored results."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from environments import SHARED, CommandError, Environment, Environments, why
from peers_measurement import PEERS, counted, measure, user_code
from peers_plot import Axis, plot
from peers_table import page, table

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
RESULTS = BENCHMARKS / "results"
STORED: dict[str, Any] = json.loads((RESULTS / "peers.json").read_text(encoding="utf-8"))


def job(ratio: float, counts: bool = True) -> dict[str, float]:
    return {
        "ratio": ratio,
        "low": ratio - 0.01,
        "high": ratio + 0.03,
        "counts": counts,
        "added_us": 12.34,
        "once_ms": 0.62,
    }


def row(title: str, digits: float, **changed: Any) -> dict[str, Any]:
    jobs = {"no-op": job(120.0), "digits": job(digits), "cnn": job(1.1, counts=False)}
    return {
        "title": title,
        "date": "2026-01-02",
        "version": "1.2.3",
        "torch": "2.13.0",
        "jobs": jobs,
        "import_s": 0.084,
        "memory_mib": 9.6,
        "lines": 3,
        **changed,
    }


SAMPLE: dict[str, Any] = {
    "machine": "Python 3.11.7, Linux, x86_64, 2 CPU cores",
    "turns": 21,
    "peers": {
        "failed": {"title": "Pinned", "date": "2026-01-05", "error": "not installed: no match for torch<2 | cuda"},
        "slow": row("Slow", 2.5),
        "fsm_engine": row("fsm_engine", 1.03),
    },
}


# The peers


@pytest.fixture
def worker() -> ModuleType:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    return importlib.import_module("peers.worker")


@pytest.mark.parametrize("name", ["bare", "fsm_engine", "ignite"])
@pytest.mark.parametrize("job", ["digits", "cnn"])
def test_a_peer_trains_to_the_losses_of_the_bare_loop(worker: ModuleType, name: str, job: str) -> None:
    if name == "ignite":
        pytest.importorskip("ignite")
    worker.check(importlib.import_module(f"peers.{name}"), worker.make_job(job))


def test_a_measurement_has_a_figure_of_each_turn(worker: ModuleType) -> None:
    measured = worker.measure(importlib.import_module("peers.fsm_engine"), worker.make_job("no-op"), turns=3)
    assert {name: len(figures) for name, figures in measured.items()} == {
        "ratio": 3,
        "control": 3,
        "added_us": 3,
        "once_ms": 3,
    }
    summed = worker.summary(measured)
    assert sorted(summed) == sorted([*measured, "counts", "high", "low"])
    assert summed["low"] <= summed["ratio"] <= summed["high"]
    assert summed["control"] == sorted(measured["control"])[1]


def test_a_measurement_is_repeated_until_the_bare_loops_agree(
    worker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(*controls: float) -> float:
        left = list(controls)
        monkeypatch.setattr(worker, "measure", lambda *_: {"ratio": [1.0, 2.0], "control": [left.pop(0)]})
        return float(worker.steady(worker.bare, worker.make_job("no-op"), 2)["control"])

    assert measured(1.05, 0.995) == 0.995
    assert measured(1.05, 0.98, 0.96) == 0.98


def test_a_peer_that_trains_otherwise_is_not_measured(worker: ModuleType) -> None:
    def train(model: Any, optimizer: Any, *others: Any) -> None:
        optimizer.param_groups[0]["lr"] = 0.09
        worker.bare.train(model, optimizer, *others)

    with pytest.raises(AssertionError, match=r"losses differ .* by \d+\.\d\d%"):
        worker.measure(SimpleNamespace(train=train), worker.make_job("digits"), turns=2)


def test_a_peer_that_skips_an_epoch_is_not_measured(worker: ModuleType) -> None:
    def no_op(loader: Any, epochs: int) -> None:
        worker.bare.no_op(loader, epochs - 1)

    with pytest.raises(AssertionError, match="3 epochs fetched the last batch 2 times"):
        worker.measure(SimpleNamespace(no_op=no_op), worker.make_job("no-op"), turns=2)


def test_every_peer_has_a_module_with_code_of_its_user() -> None:
    shared = {"__init__", "jobs", "worker"}
    assert {peer.name for peer in PEERS} | shared == {path.stem for path in (BENCHMARKS / "peers").glob("*.py")}
    assert all(list(counted(user_code(peer.source.read_text(encoding="utf-8")))) for peer in PEERS)


def test_lines_between_the_marks_are_counted() -> None:
    source = '''
import os
# user code
import library

# end of user code
def train():
    # user code
    class Module:
        """A docstring."""
        step = 1  # a comment

    # another comment
    run()
    # end of user code
    return 1
'''
    assert list(counted(user_code(source))) == ["import library", "class Module:", "step = 1  # a comment", "run()"]


# Measuring


class NoPip(Environments):
    def make(self, *_arguments: Any) -> Environment:
        raise CommandError("No matching distribution found for torch<2")


class NoImport(Environments):
    def make(self, *_arguments: Any) -> Environment:
        return Environment(Path(sys.prefix), self.folder)


@pytest.mark.parametrize(
    ("environments", "error"),
    [(NoPip, "not installed: No matching distribution found for torch<2"), (NoImport, "failed: .*no-such-library")],
)
def test_a_peer_that_fails_is_a_row_that_says_so(
    environments: Callable[[Path], Environments], error: str, tmp_path: Path
) -> None:
    peer = type(PEERS[0])("bare", "Pinned", "no-such-library", (), SHARED)
    failed = measure(peer, environments(tmp_path), turns=2)
    assert sorted(failed) == ["date", "error", "title"]
    assert failed["title"] == "Pinned"
    assert re.match(error, failed["error"])


def test_the_reason_of_a_failure_is_the_first_error_of_pip_or_the_last_line() -> None:
    assert why("WARNING: old\nERROR: Cannot install a and b\nERROR: ResolutionImpossible\nhelp\n") == (
        "Cannot install a and b"
    )
    assert why("Traceback\n  line\nImportError: no name\n\n") == "ImportError: no name"
    assert why("") == ""


# The table and the plots


def test_the_table_is_sorted_and_marks_ratios_that_do_not_count() -> None:
    assert table(SAMPLE).splitlines()[2:] == [
        "| fsm_engine | 1.2.3 | 2.13.0 | 120 ± 0.02 | 1.03 ± 0.02 | ~1.10 ± 0.02 "
        "| 12.3 µs | 0.6 ms | 0.08 s | 10 MiB | 3 |",
        "| Slow | 1.2.3 | 2.13.0 | 120 ± 0.02 | 2.50 ± 0.02 | ~1.10 ± 0.02 | 12.3 µs | 0.6 ms | 0.08 s | 10 MiB | 3 |",
        "| Pinned | not installed: no match for torch<2 \\| cuda |  |  |  |  |  |  |  |  |  |",
    ]


def test_the_page_says_when_and_where_it_was_measured() -> None:
    text = page(SAMPLE)
    assert table(SAMPLE) in text
    assert "2026-01-02 to 2026-01-05 with Python 3.11.7, Linux, x86_64, 2 CPU cores" in text


def test_a_position_on_the_axis_is_proportional_to_the_logarithm() -> None:
    axis = Axis(10, 100, 100.0)
    assert [axis(ratio) for ratio in (0.9, 1, 10, 100)] == pytest.approx([10, 10, 60, 110])
    assert axis.ticks() == [1, 5, 50]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("results", [SAMPLE, STORED], ids=["sample", "stored"])
def test_the_plot_has_a_point_for_each_ratio_and_nothing_outside(results: dict[str, Any], theme: str) -> None:
    picture = ElementTree.fromstring(plot(results, theme))
    inside = [row for name, row in results["peers"].items() if name != "bare" and "error" not in row]
    assert len(picture.findall("{*}circle")) == 3 * len(inside)
    texts = picture.findall("{*}text")
    assert {row["title"] for row in inside} <= {text.text for text in texts}
    for text in texts:
        half = float(text.attrib["textLength"]) / 2
        assert half <= float(text.attrib["x"]) <= float(picture.attrib["width"]) - half, text.text


def test_the_committed_page_and_plot_show_the_committed_results() -> None:
    again = "run python benchmarks/peers.py --report --output benchmarks/results"
    assert (RESULTS / "peers.md").read_text(encoding="utf-8") == page(STORED), again
    assert (RESULTS / "peers.svg").read_text(encoding="utf-8") == plot(STORED, "auto"), again


def test_the_command_writes_page_and_plot_from_stored_results(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "peers.json").write_text(json.dumps(SAMPLE), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("peers_command", BENCHMARKS / "peers.py")
    assert spec is not None
    assert spec.loader is not None
    command = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(command)
    monkeypatch.setattr(sys, "argv", ["peers.py", "--report", "--output", str(tmp_path)])
    command.main()
    assert table(SAMPLE) in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["peers.json", "peers.md", "peers.svg"]
