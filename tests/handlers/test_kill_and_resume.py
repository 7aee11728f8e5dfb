"""A job that is killed at random moments ends with the weights of one that nobody disturbed."""

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
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are made by fork")
def test_jobs_that_are_killed_end_with_the_very_same_weights() -> None:
    command = [sys.executable, str(SCRIPT), "--kills", "8", "--terms", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tally = {what: int(count) for count, what in (line.split(maxsplit=1) for line in done.stdout.splitlines())}
    assert (tally["times SIGKILL"], tally["times SIGTERM"]) == (8, 3)
    assert tally["jobs that ended with the same weights"] >= 2
    assert tally["processes that went on from a file"] >= 2
    assert not [what for what in tally if what.startswith("WRONG")]
