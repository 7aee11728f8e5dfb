"""Ctrl-C in programs that know nothing about it: the first one suspends the active run, then ends the program."""

from __future__ import annotations

import os
import signal
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fsm_engine.engine import recording
from fsm_engine.engine.engine import Engine
from fsm_engine.runtime.run_ends import call_after_run


class _FirstInterrupt:
    """Handles SIGINT in the main thread."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._engine: weakref.ref[Engine] | None = None
        self._was_asked = False

    def begin(self, engine: Engine) -> None:
        """Take note of an outermost run that begins."""
        if threading.current_thread() is threading.main_thread():
            self._engine, self._was_asked = weakref.ref(engine), False

    def on_signal(self, _number: int, _frame: Any) -> None:
        """Ask the active run to suspend; without one, or for the second time, raise KeyboardInterrupt."""
        engine = None if self._engine is None else self._engine()
        if engine is None or not engine.is_running or engine.should_interrupt or self._was_asked:
            raise KeyboardInterrupt
        if not engine.interrupt_resume_enabled:
            raise KeyboardInterrupt
        self._was_asked = True
        if os.getpid() != self._process:  # a forked worker of the data; the main process decides
            return
        call_after_run(_stop_program)
        engine.interrupt()
        engine.logger.warning("Interrupting at the next safe place. Press Ctrl-C again to stop immediately.")


def _stop_program() -> None:
    raise KeyboardInterrupt


@contextmanager
def first_ctrl_c_suspends() -> Iterator[None]:
    """Suspend the active run at the first Ctrl-C; `Engine.run` then raises KeyboardInterrupt.

    The rules are the same as for `Engine.interruptible`, except that `run` does not return, because a program that does
    not expect an interrupt would continue as if training were complete. A program that handles Ctrl-C itself replaces
    the signal handler and has its own rules.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    first = _FirstInterrupt()
    signal.signal(signal.SIGINT, first.on_signal)
    try:
        with recording.before_outermost_runs(first.begin):
            yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
