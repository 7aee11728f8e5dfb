"""A job that is stopped at random moments ends with the same weights as an undisturbed job."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torchmetrics")
pytest.importorskip("sklearn")

SCRIPT = Path(__file__).parents[1] / "kill_and_resume.py"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script needs os.fork")
def test_stopped_jobs_end_with_the_same_weights() -> None:
    command = [sys.executable, str(SCRIPT), "--kills", "8", "--terms", "3", "--limits", "4", "--early", "4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tally = {name: int(count) for count, name in (line.split(maxsplit=1) for line in done.stdout.splitlines())}
    times = {name: tally[f"times {name}"] for name in ("SIGKILL", "SIGTERM", "time limit", "early stopping")}
    assert times == {"SIGKILL": 8, "SIGTERM": 3, "time limit": 4, "early stopping": 4}
    assert tally["jobs with the same weights"] >= 2
    assert tally["jobs with the same logs"] >= 2
    assert tally["processes that resumed"] >= 2
    assert not [name for name in tally if name.startswith("WRONG")]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script needs os.fork")
def test_ranks_that_are_stopped_end_like_undisturbed_ranks() -> None:
    command = [sys.executable, str(SCRIPT), "--ranks", "2", "--kills", "3", "--terms", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tally = {name: int(count) for count, name in (line.split(maxsplit=1) for line in done.stdout.splitlines())}
    times = {name: tally[f"times {name}"] for name in ("SIGKILL", "SIGTERM", "SIGTERM to the launcher")}
    assert times == {"SIGKILL": 3, "SIGTERM": 1, "SIGTERM to the launcher": 1}
    assert min(tally[f"same end of {name}"] for name in ("rank 0", "rank 1", "logs")) >= 3
