"""MONAI's trainers, evaluators and handlers give the same results on fsm_engine as on pytorch-ignite."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("monai_program.py")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("monai") is None, reason="MONAI is not installed"),
]


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    started = {
        library: subprocess.Popen(
            [sys.executable, str(PROGRAM), library], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for library in ("ignite", "fsm_engine")
    }
    found = {}
    for library, process in started.items():
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        found[library] = json.loads(out.splitlines()[-1])
        assert found[library]["engine"] == library
    return found


def assert_close(ours: Any, theirs: Any, where: str) -> None:
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), where
        for key in theirs:
            assert_close(ours[key], theirs[key], f"{where}[{key!r}]")
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), where
        for number, pair in enumerate(zip(ours, theirs)):
            assert_close(*pair, f"{where}[{number}]")
    elif isinstance(theirs, float):
        assert math.isclose(ours, theirs, rel_tol=1e-6, abs_tol=1e-6), where
    else:
        assert ours == theirs, where


@pytest.mark.parametrize("part", ["supervised", "gan", "ensemble"])
def test_training_and_evaluation_have_the_results_of_ignite(results: dict[str, Any], part: str) -> None:
    assert_close(results["fsm_engine"][part], results["ignite"][part], part)


def test_a_resumed_training_ends_with_the_weights_of_a_whole_one(results: dict[str, Any]) -> None:
    assert_close(results["fsm_engine"]["resumed"], results["ignite"]["resumed"], "resumed")
    ours = results["fsm_engine"]["resumed"]
    assert ours["seen"][0] == [3, 7]
    assert_close(ours["weights"], ours["whole"], "weights")
