"""Writing in a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Thread
from typing import Any

_logger = logging.getLogger(__name__)


class Background:
    """Does one thing at a time in a thread; `wait` raises what went wrong in it. The process ends after it."""

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._failure: RuntimeError | None = None

    def start(self, work: Callable[[], None], name: str) -> None:
        """Begin with `work`, which `name` is told with if it fails. Nothing else may be going on: `wait` first."""
        self._thread = Thread(target=self._do, args=(work, name), name=f"Checkpoint {name}")
        self._thread.start()

    def wait(self) -> None:
        """Return when nothing is going on any more.

        Raises:
            RuntimeError: what was going on has failed; raised once.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _do(self, work: Callable[[], None], name: str) -> None:
        try:
            work()
        except Exception as error:
            _logger.exception("%s could not be written in the background.", name)
            self._failure = RuntimeError(f"{name} could not be written in the background: {error}")
            self._failure.__cause__ = error

    def __getstate__(self) -> dict[str, Any]:
        return {"_thread": None, "_failure": None}
