"""The files and commands of `docs/tutorials/distributed.md` print the output on the page."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchmetrics")

from children import Children  # noqa: E402
from command_line import call  # noqa: E402
from ranks import Ranks  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorials" / "distributed.md"
BLOCK = re.compile(r'^```(?:python title="(?P<file>\S+)"|(?P<kind>bash|text))\n(?P<text>.*?)^```', re.M | re.S)
RUN_FILE = """
    import runpy
    os.chdir(sys.argv[2])
    if sys.argv[3] == "alone":
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
            del os.environ[name]
    torch.set_num_threads(1)
    sys.argv = sys.argv[4:]
    runpy.run_path(sys.argv[0], run_name="__main__")
    sys.stdout.flush()
    os._exit(0)  # the end of an interpreter with so many modules takes longer than the training
"""


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    modules = ("torch.distributed", "torch._dynamo", "fsm_engine.distributed", "fsm_engine.metrics", "torchmetrics")
    with Children(*modules) as parent:
        yield parent


def commands(folder: Path) -> Iterator[tuple[list[str], str]]:
    """Write the files of the page into `folder`, and yield each command with the text that the page shows for it."""
    command: list[str] = []
    for block in BLOCK.finditer(PAGE.read_text()):
        if block["file"]:
            (folder / block["file"]).write_text(block["text"])
        elif block["kind"] == "bash":
            if command:
                yield command, ""
            command = shlex.split(block["text"])
        else:
            yield command, block["text"]
            command = []
    if command:
        yield command, ""


def printed_by(run: Callable[[list[str]], str], folder: Path) -> tuple[list[list[str]], list[list[str]]]:
    """Return the lines that the commands print and the lines on the page, sorted, because ranks print in any order."""
    printed, shown = [], []
    for command, text in commands(folder):
        printed.append(sorted(run(command).splitlines()))
        shown.append(sorted(text.splitlines()))
    return printed, shown


def test_two_ranks_print_the_output_of_the_tutorial(
    ranks: Ranks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("typer")
    monkeypatch.chdir(tmp_path)

    def run(command: list[str]) -> str:
        if command[0] == "fsm-engine":
            assert call(*command[1:]).exit_code == 0
            return ""
        options = command[1 : next(i for i, word in enumerate(command) if word.endswith(".py"))]
        file_and_arguments = command[1 + len(options) :]
        processes = int(options[options.index("--nproc-per-node") + 1]) if options else 1
        attempts = 1 + (int(options[options.index("--max-restarts") + 1]) if "--max-restarts" in options else 0)
        for attempt in range(attempts):
            how = "together" if options else "alone"
            started = ranks.start(
                processes, RUN_FILE, str(tmp_path), how, *file_and_arguments, TORCHELASTIC_RESTART_COUNT=str(attempt)
            )
            statuses = [child.wait(100) for child in started]
            if not any(statuses):
                break
        assert statuses == [0] * processes, [child.err.read_text() for child in started]
        return "".join(child.out.read_text() for child in started)

    printed, shown = printed_by(run, tmp_path)
    assert printed == shown
    assert len(printed) == 6
    assert "rank 1" in (tmp_path / "ranks.svg").read_text()
    assert (tmp_path / "ranks.html").exists()


@pytest.mark.slow
def test_the_commands_of_the_tutorial_print_its_output(tmp_path: Path) -> None:
    programs = {
        "python": [sys.executable],
        "torchrun": [sys.executable, "-m", "torch.distributed.run"],
        "fsm-engine": [sys.executable, "-m", "fsm_engine"],
    }

    def run(command: list[str]) -> str:
        done = subprocess.run(
            [*programs[command[0]], *command[1:]],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return "" if command[0] == "fsm-engine" else done.stdout

    printed, shown = printed_by(run, tmp_path)
    assert printed == shown
