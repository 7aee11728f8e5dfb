"""Configuration of all tests: collection without torch, hypothesis without time limits, order, shared fixtures."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from children import Children
from hypothesis import HealthCheck, settings

settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell makes background processes and their children ignore it
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "PYTEST_XDIST_WORKER" in os.environ:  # with one worker per core, more threads would only compete
    os.environ.setdefault("OMP_NUM_THREADS", "1")

_TORCH_FACING = [
    *("clients", "compat", "device", "inspector", "loggers", "metrics", "supervised", "typing"),
    *("engine/test_deferred_functions.py", "engine/test_flags_of_ignite.py"),
    *("handlers/test_checkpoint.py", "handlers/test_checkpoint_files.py"),
    *("handlers/test_checkpoint_loading.py", "handlers/test_early_stopping.py"),
    *("handlers/test_ema.py", "handlers/test_fbresearch_logger.py", "handlers/test_lr_finder.py"),
    *("handlers/test_param_scheduler.py", "handlers/test_profilers.py", "handlers/test_progress_bar.py"),
    *("handlers/test_state_param_scheduler.py", "handlers/test_terminate_on_nan.py"),
    *("persistence/test_resume.py", "timeline/test_timeline_exports.py"),
]

collect_ignore = [] if find_spec("torch") else _TORCH_FACING


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run slow tests first, so that no xdist worker is left with a long test at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def _default_log_level() -> None:
    """Reset the level of the engines' logger, which another test may have set."""
    logging.getLogger("fsm_engine.engine.engine.Engine").setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def children() -> Iterator[Children]:
    """Return a starter of processes that have already imported torch."""
    if not hasattr(os, "fork"):
        pytest.skip("needs os.fork")
    with Children() as starts:
        yield starts
