"""`examples/distributed.py` with one and with two processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from ranks import Ranks  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
CODE = """
    import importlib
    if sys.argv[3] == "alone":
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
            del os.environ[name]
    sys.path.insert(0, sys.argv[2])
    report(importlib.import_module("distributed").main(["--epochs", "3"]))
"""


def test_two_processes_reach_the_accuracy_of_one(ranks: Ranks) -> None:
    ((alone,),) = ranks.run(1, CODE, str(ROOT / "examples"), "alone")
    together = ranks.run(2, CODE, str(ROOT / "examples"), "together")

    assert alone > 0.8
    assert together[0] == together[1]
    assert together[0][0] == pytest.approx(alone, abs=2 / 360)  # rounding may change a digit


@pytest.mark.slow
def test_torchrun_starts_the_example() -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "examples/distributed.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)

    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^Epoch \d+: ", done.stdout, re.MULTILINE)) == 10  # rank 0 only
    (accuracy,) = re.findall(r"^Processes: 2, held-out accuracy: (0\.\d+)$", done.stdout, re.MULTILINE)
    assert float(accuracy) > 0.9
