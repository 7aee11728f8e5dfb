"""The command line ``fsm-engine``, called in this process or as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from fsm_engine.cli.app import app

ROOT = Path(__file__).resolve().parents[2]


def call(*arguments: str, **environment: str) -> Result:
    return CliRunner(env={"COLUMNS": "200", **environment}).invoke(app, arguments, prog_name="fsm-engine")


def process(*arguments: str, code: str = "", **options: object) -> subprocess.Popen[str]:
    command = ["-c", code] if code else ["-m", "fsm_engine"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    environment.update(pipes.pop("env", {}))  # type: ignore[call-overload]
    pipes["preexec_fn"] = handle_ctrl_c
    return subprocess.Popen([sys.executable, *command, *arguments], env=environment, **pipes)  # type: ignore[call-overload,no-any-return]


def handle_ctrl_c() -> None:
    """Handle SIGINT as a foreground process does; a shell makes background processes ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ran(*arguments: str, **options: object) -> tuple[int, str, str]:
    with process(*arguments, **options) as running:
        out, err = running.communicate(timeout=400)
    return running.returncode, out, err
