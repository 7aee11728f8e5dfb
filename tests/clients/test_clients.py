"""Programs in the style of Ignite's users: the same events, results and files on both libraries.

Each program in `programs` is run as it is with pytorch-ignite, and with fsm_engine after ``fsm-engine migrate`` has
changed its imports.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from children import Children

from fsm_engine.compat.ignite.migration import migrate

HERE = Path(__file__).parent
PROGRAMS = sorted((HERE / "programs").glob("*.py"))
LIBRARIES = ("ignite", "fsm_engine")
CODE = f"""
    import os, sys
    sys.path.insert(0, {str(HERE)!r})
    import recorded_program
    recorded_program.main()
    os._exit(0)  # leaving the large parent's modules alone
"""
IMPORTED = ("torchmetrics", "sklearn.metrics", "ignite.contrib.engines.common", "fsm_engine.metrics", "tqdm.auto")


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with Children(*IMPORTED, options=("-W", "ignore")) as started:
        yield started


def assert_close(ours: Any, theirs: Any, where: str = "result") -> None:
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), where
        for key in theirs:
            assert_close(ours[key], theirs[key], f"{where}[{key!r}]")
    elif isinstance(theirs, list):
        assert isinstance(ours, list), where
        assert len(ours) == len(theirs), where
        for number, pair in enumerate(zip(ours, theirs)):
            assert_close(*pair, f"{where}[{number}]")
    elif isinstance(theirs, float):
        equal = math.isclose(ours, theirs, rel_tol=1e-6, abs_tol=1e-6) or (math.isnan(ours) and math.isnan(theirs))
        assert equal, f"{where}: {ours} != {theirs}"
    else:
        assert ours == theirs, where


def test_there_are_many_programs() -> None:
    assert len(PROGRAMS) >= 25


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_program_does_the_same_on_both_libraries(program: Path, children: Children, tmp_path: Path) -> None:
    migration = migrate(program.read_text())
    assert migration.changes
    sources = {"ignite": program, "fsm_engine": tmp_path / program.name}
    sources["fsm_engine"].write_text(migration.source)
    started = {}
    for library in LIBRARIES:
        folder, out = tmp_path / library, tmp_path / f"{library}.json"
        folder.mkdir()
        started[library] = out, children.start(tmp_path, CODE, library, *map(str, (sources[library], folder, out)))
    results = {}
    for library, (out, child) in started.items():
        assert child.wait() == 0, f"{library}: {child.err.read_text()}"
        results[library] = json.loads(out.read_text())
    ours, theirs = results["fsm_engine"], results["ignite"]
    assert ours["events"] == theirs["events"]
    assert theirs["events"]
    assert_close(ours["result"], theirs["result"])
    assert ours["files"] == theirs["files"]
