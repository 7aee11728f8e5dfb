"""The two examples of the guides, run as scripts with command-line arguments."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from children import Children

pytest.importorskip("sklearn")
pytest.importorskip("torchvision")
if not hasattr(os, "fork"):
    pytest.skip("needs os.fork", allow_module_level=True)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = ("events_and_handlers", "backprop_events")
SCRIPT = """
    import os, runpy, sys
    os.environ["XDG_CACHE_HOME"], folder, *sys.argv = sys.argv[1:]
    os.chdir(folder)
    sys.path[0] = os.path.dirname(sys.argv[0])
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs an example like ``python examples/NAME.py``, without importing torch and torchvision again."""


@dataclass
class Finished:
    """An example that has ended."""

    status: int
    out: str
    err: str

    @property
    def accuracy(self) -> float:
        assert self.status == 0, self.err
        found = re.findall(r"^Held-out accuracy: (\d\.\d+)$", self.out, re.MULTILINE)
        assert len(found) == 1, self.out
        return float(found[0])


Run = Callable[..., Finished]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def interpreter() -> Iterator[Children]:
    libraries = "sklearn.datasets", "sklearn.model_selection", "torchvision.datasets", "torchvision.models"
    with Children(*libraries, "torchmetrics", "fsm_engine.metrics", options=("-W", "error")) as children:
        yield children


@pytest.fixture
def run(interpreter: Children, cache: Path, tmp_path: Path) -> Run:
    folder = tmp_path / "output"
    folder.mkdir()

    def run(name: str, *arguments: str) -> Finished:
        child = interpreter.start(folder, SCRIPT, str(cache), str(folder), str(EXAMPLES / f"{name}.py"), *arguments)
        return Finished(child.wait(), child.out.read_text(), child.err.read_text())

    return run


def test_a_short_run_shows_the_events_of_the_backward_pass(run: Run, tmp_path: Path) -> None:
    done = run("backprop_events", "--samples", "48", "--epochs", "1", "--batch-size", "16")
    assert 0 <= done.accuracy <= 1
    assert re.findall(r"^Iter\[(\d)\] Function fired (.*)$", done.out, re.MULTILINE) == [
        (iteration, when)
        for iteration in ("1", "2")
        for when in ("before backward pass", "after backward pass", "after optimizer step")
    ]
    first, *_, last = done.out.splitlines()
    assert "handwritten digits" in first
    assert "[3/3] 100%" in done.err
    assert (tmp_path / "output" / last.removeprefix("Picture: ")).read_text().count("BACKWARD_STARTED") > 0


def test_the_example_says_what_it_does_before_it_imports_torch() -> None:
    before = (EXAMPLES / "backprop_events.py").read_text().partition("\nimport torch\n")[0]
    modules = [line.split()[1] for line in before.splitlines() if re.match(r"(from|import) \w", line)]
    assert set(modules) <= {*sys.stdlib_module_names, "collections.abc"}
    assert "    print(" in before


def test_a_short_run_of_events_and_handlers(run: Run) -> None:
    assert 0 <= run("events_and_handlers", "--samples", "128", "--epochs", "2").accuracy <= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_directory_without_mnist_is_an_error(run: Run, tmp_path: Path, name: str) -> None:
    done = run(name, "--data-dir", str(tmp_path))
    assert done.status == 2
    assert "in its subdirectory MNIST/raw" in done.err
    assert "leave --data-dir out" in " ".join(done.err.split())
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", NAMES)
def test_digits_are_read_from_a_directory(run: Run, tmp_path: Path, name: str) -> None:
    assert run("digits", str(tmp_path)).status == 0
    assert 0 <= run(name, "--data-dir", str(tmp_path), "--samples", "32", "--epochs", "1").accuracy <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("events_and_handlers", 0.95), ("backprop_events", 0.90)])
def test_the_default_run_learns(run: Run, name: str, least: float) -> None:
    assert run(name).accuracy >= least
