"""What all tests begin with: no torch-facing test files without torch, a core for each worker, loggers as they come."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from children import Children

if "PYTEST_XDIST_WORKER" in os.environ:  # workers, and what they start, would wait for each other's threads
    os.environ.setdefault("OMP_NUM_THREADS", "1")

_TORCH_FACING = [
    *("compat", "loggers", "metrics", "supervised"),
    *("handlers/test_checkpoint.py", "handlers/test_checkpoint_files.py", "handlers/test_early_stopping.py"),
    *("handlers/test_ema.py", "handlers/test_handlers.py", "handlers/test_lr_finder.py"),
    *("handlers/test_profilers.py", "handlers/test_progress_bar.py", "handlers/test_schedulers.py"),
    *("persistence/test_resume.py", "timeline/test_timeline_exports.py"),
]

collect_ignore = [] if find_spec("torch") else _TORCH_FACING


@pytest.fixture(autouse=True)
def _loggers_as_they_come() -> None:
    """Take back what another test, such as one that runs an example, has told the engines' logger."""
    logging.getLogger("fsm_engine.engine.engine.Engine").setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def children() -> Iterator[Children]:
    """Start processes that have imported torch already."""
    if not hasattr(os, "fork"):
        pytest.skip("needs os.fork")
    with Children() as starts:
        yield starts
