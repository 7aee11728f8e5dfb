"""A program in a pseudo-terminal, with its screen as text."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-Z\\-_])")
_ROOT = Path(__file__).resolve().parents[2]


class Terminal:
    """Runs ``python -m fsm_engine ARGUMENTS`` in a pseudo-terminal.

    Attributes:
        output: all characters that the program has written.
        before: the settings of the terminal before the program began.
    """

    def __init__(self, *arguments: str, size: tuple[int, int] = (100, 30), **environment: str) -> None:
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.before, self.output = termios.tcgetattr(self._slave), ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fsm_engine", *arguments],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            preexec_fn=self._become_foreground,
            env={**os.environ, "PYTHONPATH": str(_ROOT), "TERM": "xterm-256color", "COLUMNS": "", **environment},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _become_foreground(self) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def _read(self) -> None:
        while True:
            ready, _, _ = select.select([self._master], [], [], 0.1)
            try:
                data = os.read(self._master, 65536) if ready else b""
            except OSError:
                return
            self.output += data.decode(errors="replace")
            if not ready and self._process.poll() is not None:
                return

    @property
    def settings(self) -> list[Any]:
        """The settings of the terminal now."""
        return termios.tcgetattr(self._slave)

    @property
    def screen(self) -> str:
        """The text of the last frame."""
        return _ESCAPES.sub("", self.output.rpartition("\x1b[H")[2])

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def wait_for(self, text: str) -> None:
        """Wait until the screen contains `text`."""
        wait_until(lambda: text in self.screen, lambda: f"no {text!r} in:\n{self.screen}")

    def kill(self, number: int) -> None:
        """Send a signal to the program."""
        self._process.send_signal(number)

    def finish(self) -> int:
        """Wait for the end of the program, and return its exit code."""
        code = self._process.wait(timeout=200)
        self._reader.join(timeout=200)
        return code

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        os.close(self._master)
        os.close(self._slave)


def wait_until(holds: Callable[[], bool], describe: Callable[[], str] = str, seconds: float = 200) -> None:
    """Wait until `holds` returns True."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, describe()
        time.sleep(0.02)
