"""`launch`: starts processes that call a function, from a script or a notebook."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from typing import Any

import torch


def launch(function: Callable[..., Any], processes: int, *args: Any, max_restarts: int = 0) -> list[Any]:
    """Call ``function(*args)`` in `processes` new processes of this machine, and return their results by rank.

    It is ``torchrun --nproc-per-node`` as a function: the processes have its environment, so `session` joins them. They
    are forked, so `function` may be defined in a notebook. Do not use CUDA in the process that calls `launch` before.

    Args:
        function: the function, which opens a `session`.
        processes: the number of processes.
        *args: the arguments of `function`.
        max_restarts: how often all processes are started again when one of them fails. They resume from a `Checkpoint`.

    Raises:
        TypeError: `function` is not callable.
        ValueError: `processes` is less than 1.
        RuntimeError: this process uses CUDA already, or the system cannot fork processes.
        torch.distributed.elastic.multiprocessing.errors.ChildFailedError: a process failed; the message has its error.
    """
    if not callable(function):
        raise TypeError(f"launch() calls a function in each process, and {function!r} is not callable.")
    if processes < 1:
        raise ValueError(f"launch(function, {processes}) has to start one process at least.")
    _check_can_fork()
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch  # takes a tenth of a second to import

    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")  # a restarted group must find a new store
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=max_restarts,
        start_method="fork",
        monitor_interval=0.1,
    )
    results = elastic_launch(config, function)(*args)
    return [results[rank] for rank in sorted(results)]


def _check_can_fork() -> None:
    if not hasattr(os, "fork"):
        raise RuntimeError(
            "launch() forks processes, which this system cannot do. Write the function to a script that calls it, and "
            "start the script with torchrun --nproc-per-node."
        )
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        raise RuntimeError(
            "this process uses CUDA, so processes forked from it cannot. Restart the kernel or the interpreter, call "
            "launch() before anything uses a GPU, and create models and tensors inside the launched function."
        )
