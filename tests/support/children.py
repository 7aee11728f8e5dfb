"""Python processes that start in milliseconds, forked from a process that has already imported torch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

PARENT = """
    import importlib, json, os, sys
    for module in sys.argv[1:]:
        importlib.import_module(module)

    for line in sys.stdin:
        given = json.loads(line)
        if "pid" in given:
            pid, status = os.waitpid(given["pid"], os.WNOHANG)
            reply = os.waitstatus_to_exitcode(status) if pid else None
        else:
            reply = os.fork()
            if reply == 0:
                break
        print(json.dumps(reply), flush=True)
    else:
        sys.exit()

    for number, name in enumerate([os.devnull, given["out"], given["err"]]):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), number)
    sys.argv = ["-c", *given["arguments"]]
    exec(given["code"], {"__name__": "__main__"})
"""


class Children:
    """Context manager that forks processes from a parent process.

    Args:
        modules: modules that the parent imports once, for all children.
        options: command-line options of the parent's interpreter, such as ``("-W", "error")``.
    """

    def __init__(self, *modules: str, options: Sequence[str] = ()) -> None:
        self._modules, self._options = ("torch", "fsm_engine.handlers", *modules), options

    def __enter__(self) -> Children:
        command = [sys.executable, *self._options, "-c", textwrap.dedent(PARENT), *self._modules]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])  # so that `modules` may be in this folder
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        self._parent = subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._parent.communicate(timeout=400)

    def start(self, folder: Path, code: str, *arguments: str) -> Child:
        """Start a process that runs `code` with `arguments` in ``sys.argv``, its output going to files in `folder`."""
        number = len(list(folder.glob("*.out")))
        out, err = folder / f"{number}.out", folder / f"{number}.err"
        err.touch()
        out.touch()  # so that the next process gets another number
        given = {"code": textwrap.dedent(code), "arguments": arguments, "out": str(out), "err": str(err)}
        return Child(self, self.ask(given), out, err)

    def ask(self, given: dict[str, Any]) -> Any:
        """Send a request to the parent, and return its reply."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        print(json.dumps(given), file=self._parent.stdin, flush=True)
        return json.loads(self._parent.stdout.readline())


@dataclass
class Child:
    """A process and the files that its standard output and standard error are written to.

    Attributes:
        status: the exit status once `wait` has returned it.
    """

    parent: Children
    pid: int
    out: Path
    err: Path
    status: int | None = None

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait_for(self, text: str) -> None:
        """Wait until the process has printed `text`."""
        self.wait_until(lambda: text in self.out.read_text())

    def wait_for_error(self, pattern: str) -> None:
        """Wait until the process has printed a text to standard error that the regular expression `pattern` matches."""
        self.wait_until(lambda: re.search(pattern, self.err.read_text()) is not None)

    def wait(self, timeout: float = 400) -> int:
        """Wait for the end of the process, and return its exit status, negative for a signal.

        Raises:
            TimeoutError: the process runs for more than `timeout` seconds.
        """
        self.wait_until(self.has_ended, timeout)
        assert self.status is not None
        return self.status

    def has_ended(self) -> bool:
        """Return True if the process has ended."""
        if self.status is None:
            self.status = self.parent.ask({"pid": self.pid})
        return self.status is not None

    def wait_until(self, condition: Callable[[], bool], timeout: float = 400) -> None:
        """Wait until ``condition()`` is true.

        Raises:
            TimeoutError: it is not true after `timeout` seconds.
        """
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {timeout} s; standard error: {self.err.read_text()}")
            time.sleep(0.005)
