"""Leaves out, on a Python without torch, the test files that are about the torch-facing side."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("torch") else ["test_handlers.py", "test_metrics.py", "test_supervised.py"]
