"""The examples, run as a user runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("torchvision")

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("events_and_handlers", "backprop_events")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def run(cache: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def accuracy(done: subprocess.CompletedProcess[str]) -> float:
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^Held-out accuracy: (\d\.\d+)$", done.stdout, re.MULTILINE)
    assert len(found) == 1, done.stdout
    return float(found[0])


def test_a_short_run_shows_the_events_of_the_backward_pass(cache: Path) -> None:
    done = run(cache, "backprop_events", "--samples", "48", "--epochs", "1", "--batch-size", "16")
    assert 0 <= accuracy(done) <= 1
    assert re.findall(r"^Iter\[(\d)\] Function fired (.*)$", done.stdout, re.MULTILINE) == [
        (iteration, when)
        for iteration in ("1", "2")
        for when in ("before backward pass", "after backward pass", "after optimizer step")
    ]


def test_a_short_run_walks_through_events_and_handlers(cache: Path) -> None:
    assert 0 <= accuracy(run(cache, "events_and_handlers", "--samples", "128", "--epochs", "2")) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_directory_without_mnist_is_told_so(cache: Path, tmp_path: Path, name: str) -> None:
    done = run(cache, name, "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert "in its subdirectory MNIST/raw. Give the directory that" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_digits_are_read_from_a_directory(cache: Path, tmp_path: Path, name: str) -> None:
    assert run(cache, "digits", str(tmp_path)).returncode == 0
    done = run(cache, name, "--data-dir", str(tmp_path), "--samples", "32", "--epochs", "1")
    assert 0 <= accuracy(done) <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("events_and_handlers", 0.95), ("backprop_events", 0.90)])
def test_the_default_run_learns(cache: Path, name: str, least: float) -> None:
    assert accuracy(run(cache, name)) >= least
