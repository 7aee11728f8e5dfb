"""Leaves out, on a Python without torch, the test files that are about the torch-facing side."""

from __future__ import annotations

from importlib.util import find_spec

_TORCH_FACING = ["amp", "deterministic", "handlers", "metrics", "resume", "step_events", "supervised", "tbptt"]

collect_ignore = [] if find_spec("torch") else [f"test_{name}.py" for name in _TORCH_FACING]
