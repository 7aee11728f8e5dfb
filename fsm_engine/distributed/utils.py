"""Ranks, devices and collective operations of a world with one process."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

has_xla_support = False
has_hvd_support = False
has_native_dist_support = False
registered_computation_models: list[type] = []
"""No backend for several processes is supported."""


def several_processes_error(asked: str) -> NotImplementedError:
    """Return the error for a request for several processes."""
    return NotImplementedError(
        f"{asked}, but fsm_engine runs one process so far. Run the program with one process and backend=None, or train "
        f"with torch's own torch.nn.parallel.DistributedDataParallel inside the step."
    )


def get_rank() -> int:
    """Return 0, the rank of the only process."""
    return 0


def get_local_rank() -> int:
    """Return 0, the rank of the only process on its machine."""
    return 0


def get_world_size() -> int:
    """Return 1, the number of processes."""
    return 1


def get_nproc_per_node() -> int:
    """Return 1, the number of processes per machine."""
    return 1


def get_nnodes() -> int:
    """Return 1, the number of machines."""
    return 1


def get_node_rank() -> int:
    """Return 0, the rank of the only machine."""
    return 0


def backend() -> str | None:
    """Return None: there is no backend for communication."""
    return None


def available_backends() -> tuple[str, ...]:
    """Return the names that `initialize` accepts: none."""
    return ()


def model_name() -> str:
    """Return "serial", the name of a world with one process."""
    return "serial"


def hostname() -> str:
    """Return the name of the machine."""
    return socket.gethostname()


def device() -> torch.device:
    """Return the device to train on: a GPU of CUDA if there is one, else one of MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def initialize(backend: str | None = None, **kwargs: Any) -> None:  # noqa: ARG001  # arguments of ignite.distributed
    """Do nothing in a single process.

    Raises:
        NotImplementedError: a launcher has started several processes, as the environment variable WORLD_SIZE says.
    """
    size = os.environ.get("WORLD_SIZE", "1")
    if size not in ("", "1"):
        raise several_processes_error(f"WORLD_SIZE is {size}")


def finalize() -> None:
    """Do nothing."""


def spawn(
    backend: str | None,
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs_dict: Mapping[str, Any] | None = None,
    nproc_per_node: int = 1,
    **kwargs: Any,
) -> None:
    """Call ``fn(0, *args, **kwargs_dict)`` in this process.

    Raises:
        NotImplementedError: `nproc_per_node` or `nnodes` is more than 1.
    """
    for name, count in (("nproc_per_node", nproc_per_node), ("nnodes", kwargs.get("nnodes"))):
        if (count or 1) > 1:
            raise several_processes_error(f"spawn() was called with {name}={count}")
    initialize(backend)
    fn(0, *args, **(kwargs_dict or {}))


def all_reduce(tensor: Any, op: str = "SUM", group: Any = None) -> Any:  # noqa: ARG001
    """Return `tensor`, the reduction over one process."""
    return tensor


def all_gather(tensor: Any, group: Any = None) -> Any:  # noqa: ARG001
    """Return a tensor unchanged, and anything else as a list with one item."""
    return tensor if isinstance(tensor, torch.Tensor) else [tensor]


def all_gather_tensors_with_shapes(
    tensor: torch.Tensor,
    shapes: Sequence[Sequence[int]],  # noqa: ARG001
    group: Any = None,  # noqa: ARG001
) -> list[torch.Tensor]:
    """Return a list with `tensor`, the only one."""
    return [tensor]


def broadcast(tensor: Any, src: int = 0, safe_mode: bool = False) -> Any:  # noqa: ARG001
    """Return `tensor`."""
    return tensor


def barrier() -> None:
    """Do nothing: there is no process to wait for."""


def new_group(ranks: list[int], **kwargs: Any) -> Any:  # noqa: ARG001
    """Return `ranks`, which stands for the group.

    Raises:
        ValueError: `ranks` is not a list of integers.
    """
    if not (isinstance(ranks, list) and all(isinstance(rank, int) for rank in ranks)):
        raise ValueError(f"Argument ranks should be list of int, got {ranks!r}.")
    return ranks


def set_local_rank(index: int) -> None:
    """Do nothing: the only process has the local rank 0."""


def sync(temporary: bool = False) -> None:
    """Do nothing: there is no state of another library to read."""


def show_config() -> None:
    """Log the configuration at INFO."""
    logger = logging.getLogger("fsm_engine.distributed")
    logger.info("one process: rank 0, world size 1, device %s, host %s", device(), hostname())


def one_rank_only(rank: int = 0, with_barrier: bool = False) -> Callable[[Callable[P, R]], Callable[P, R | None]]:  # noqa: ARG001
    """Return a decorator that lets a function run on `rank` only; for another rank than 0 it never runs."""

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        return function if rank == 0 else _do_nothing

    return decorate


def _do_nothing(*_args: Any, **_kwargs: Any) -> None:
    pass


@contextmanager
def one_rank_first(rank: int = 0, local: bool = False) -> Iterator[None]:  # noqa: ARG001
    """Return a context that `rank` enters before the others.

    Raises:
        ValueError: there is no such rank.
    """
    if rank != 0:
        raise ValueError(f"rank should be between 0 and {get_world_size() - 1}, got {rank}.")
    yield
