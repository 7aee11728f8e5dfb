"""The terminal as a source of keys. Its settings are restored at the end."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = {
    "\r": "enter",
    "\n": "enter",
    "\t": "tab",
    "\x7f": "backspace",
    "\b": "backspace",
    "\x15": "erase",
    "\x1a": "suspend",
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
}
_ENDS = (signal.SIGTERM, signal.SIGHUP) if hasattr(signal, "SIGHUP") else (signal.SIGTERM,)


class KeyReader:
    """Splits the bytes of a terminal into keys: characters, and names such as ``up``.

    A sequence that begins with ESC may arrive in parts. `flush` ends it when nothing follows.
    """

    def __init__(self) -> None:
        self._rest = b""

    @property
    def is_waiting(self) -> bool:
        """Whether a sequence has begun and not ended."""
        return bool(self._rest)

    def feed(self, data: bytes) -> Iterator[str]:
        """Yield the keys in `data`."""
        self._rest += data
        while self._rest and (size := _size(self._rest)):
            key, self._rest = self._rest[:size].decode(errors="replace"), self._rest[size:]
            name = _NAMES.get(key, key)
            if len(name) > 1 and name.startswith("\x1b"):
                continue  # a key without a name, such as F1
            yield name

    def flush(self, press: Callable[[str], None]) -> None:
        """Call `press` with ``escape`` if only the beginning of a sequence has arrived."""
        rest, self._rest = self._rest, b""
        if rest.startswith(b"\x1b"):
            press("escape")


def _size(data: bytes) -> int:
    """Return the number of bytes of the first key; 0 if it is not complete."""
    first = data[0]
    if first == 0x1B:
        return _sequence_size(data)
    size = 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    return size if len(data) >= size else 0


def _sequence_size(data: bytes) -> int:
    if len(data) < 2:
        return 0
    if data[1:2] == b"O":
        return 3 if len(data) >= 3 else 0
    if data[1:2] != b"[":
        return 2
    return next((at + 1 for at in range(2, len(data)) if 0x40 <= data[at] <= 0x7E), 0)


def is_terminal() -> bool:
    """Return True if keys can be read, and the screen can be drawn."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def single_keys(descriptor: int) -> Iterator[None]:
    """Let the terminal give each key at once and without echo. Ctrl-C still interrupts; Ctrl-Z is a key."""
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        settings = termios.tcgetattr(descriptor)
        settings[6][termios.VSUSP] = os.fpathconf(descriptor, "PC_VDISABLE").to_bytes(1, "big")
        termios.tcsetattr(descriptor, termios.TCSADRAIN, settings)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


@contextmanager
def orderly_end() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as an exception does, so that the terminal is restored."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = [(number, signal.signal(number, end)) for number in _ENDS]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


class Waker:
    """Ends `wait` from another thread."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)

    def wake(self) -> None:
        """End the present or the next call of `wait`."""
        try:
            os.write(self._writing, b".")
        except (BlockingIOError, OSError):  # it is full, so `wait` ends anyway; or it is closed
            return

    def wait(self, descriptor: int, seconds: float) -> bool:
        """Wait for `wake`, or for input. Return True if there is input."""
        ready, _, _ = select.select([self._reading, descriptor], [], [], seconds)
        if self._reading in ready:
            os.read(self._reading, 65536)
        return descriptor in ready

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._reading)
        os.close(self._writing)


def read_keys(descriptor: int, reader: KeyReader, press: Callable[[str], None]) -> bool:
    """Pass the keys that have arrived to `press`. Return False at the end of the input."""
    data = os.read(descriptor, 4096)
    for key in reader.feed(data):
        press(key)
    return bool(data)
