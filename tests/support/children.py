"""Python processes that begin at once: forked by one that has imported torch already, which takes seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

PARENT = """
    import json, os, sys
    import torch
    import fsm_engine.handlers

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
    """Starts processes; a context manager."""

    def __enter__(self) -> Children:
        command = [sys.executable, "-c", textwrap.dedent(PARENT)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._parent = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, **pipes)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._parent.communicate(timeout=100)

    def start(self, folder: Path, code: str, *arguments: str) -> Child:
        """Run `code`, with `arguments` in ``sys.argv``; what it prints goes to files in `folder`."""
        number = len(list(folder.glob("*.out")))
        out, err = folder / f"{number}.out", folder / f"{number}.err"
        given = {"code": textwrap.dedent(code), "arguments": arguments, "out": str(out), "err": str(err)}
        return Child(self, self.ask(given), out, err)

    def ask(self, given: dict[str, Any]) -> Any:
        """Have the parent do something, and return what comes of it."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        print(json.dumps(given), file=self._parent.stdin, flush=True)
        return json.loads(self._parent.stdout.readline())


@dataclass
class Child:
    """A process, and the files with what it has printed."""

    parent: Children
    pid: int
    out: Path
    err: Path

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait_for(self, text: str) -> None:
        """Return when it has printed `text`."""
        self._wait_until(lambda: self.out.exists() and text in self.out.read_text(), 200)

    def wait(self, timeout: float = 200) -> int:
        """Return the exit status.

        Raises:
            TimeoutError: it goes on for longer than that.
        """
        ended: list[int] = []

        def has_ended() -> bool:
            status = self.parent.ask({"pid": self.pid})
            if status is not None:
                ended.append(status)
            return bool(ended)

        self._wait_until(has_ended, timeout)
        return ended[0]

    def _wait_until(self, true: Callable[[], bool], timeout: float) -> None:
        end = time.monotonic() + timeout
        while not true():
            if time.monotonic() > end:
                raise TimeoutError(f"that takes more than {timeout} s. What it has told: {self.err.read_text()}")
            time.sleep(0.005)
