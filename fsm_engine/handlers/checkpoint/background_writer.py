"""`BackgroundWriter`: writes one file at a time in a thread, from a copy of the state dicts in the host's memory."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Thread
from typing import Any

import torch

from fsm_engine._util.plain_data import is_foreign, map_leaves

_logger = logging.getLogger(__name__)


class BackgroundWriter:
    """Call one function at a time in a thread that the process waits for before it exits."""

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._failure: RuntimeError | None = None

    def start(self, write: Callable[[], None], filename: str) -> None:
        """Call `write` in the background. The caller calls `wait` first. Messages about a failure name `filename`."""
        self._thread = Thread(target=self._run, args=(write, filename), name=f"Checkpoint {filename}")
        self._thread.start()

    def wait(self) -> None:
        """Wait until the thread has ended.

        Raises:
            RuntimeError: the function in the thread raised an exception. It is raised once.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _run(self, write: Callable[[], None], filename: str) -> None:
        try:
            write()
        except Exception as error:
            _logger.exception("%s could not be written in the background.", filename)
            self._failure = RuntimeError(f"{filename} could not be written in the background: {error}")
            self._failure.__cause__ = error

    def __getstate__(self) -> dict[str, Any]:
        return {"_thread": None, "_failure": None}


def host_copy(value: Any) -> Any:
    """Return a copy of plain data with its tensors in the host's memory; tensors that share memory share one copy.

    An object that is not plain data is replaced by its ``copy()`` if it has that method, and is shared otherwise.
    """
    copies: dict[Any, torch.Tensor] = {}

    def copied(leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor):
            return _tensor_copy(leaf, copies)
        return leaf.copy() if hasattr(leaf, "copy") else leaf

    return map_leaves(copied, value, is_foreign)


def _tensor_copy(tensor: torch.Tensor, copies: dict[Any, torch.Tensor]) -> torch.Tensor:
    if tensor.layout != torch.strided or not tensor.numel():
        return tensor.detach().to("cpu", copy=True)
    key = (tensor.device, tensor.dtype, tensor.data_ptr(), tensor.shape, tensor.stride())
    if key not in copies:
        copies[key] = tensor.detach().to("cpu", copy=True)
    return copies[key]
