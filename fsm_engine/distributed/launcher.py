"""`Parallel` and `spawn`: call a training function in one or several processes, as ``ignite.distributed`` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fsm_engine.distributed.launch import launch
from fsm_engine.distributed.world import finalize, get_local_rank, initialize


class Parallel:
    """Context manager whose `run` calls a function with its local rank, in this process or in new ones.

    ``with Parallel("gloo", nproc_per_node=2) as parallel: parallel.run(main, config)`` calls ``main(local_rank,
    config)`` in two new processes. Without `nproc_per_node`, it is called in this process, which has joined the process
    group of the launcher, if there is one.

    Args:
        backend: the backend of torch for the communication; None for a single process.
        nproc_per_node: the number of new processes on this machine; None for this process.
        nnodes: the number of machines; None or 1. On several machines, start the script with ``torchrun``.
        **kwargs: ignored, except ``timeout``: further arguments of ``ignite.distributed.Parallel``.

    Raises:
        NotImplementedError: processes on several machines are asked for.

    Example:
        >>> with Parallel() as parallel:
        ...     parallel.run(lambda local_rank, x: print(local_rank, x), "in this process")
        0 in this process
    """

    def __init__(
        self,
        backend: str | None = None,
        nproc_per_node: int | None = None,
        nnodes: int | None = None,
        **kwargs: Any,
    ) -> None:
        _check_one_machine("Parallel", nnodes)
        self.backend = backend
        self._processes = nproc_per_node
        self._options = {key: kwargs[key] for key in ("timeout",) if key in kwargs}
        if nproc_per_node is None:
            initialize(backend, **self._options)

    def run(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call ``func(local_rank, *args, **kwargs)``, and return its result if it is called in this process."""
        if self._processes is None:
            return func(get_local_rank(), *args, **kwargs)
        spawn(self.backend, func, args, kwargs, self._processes, **self._options)
        return None

    def __enter__(self) -> Parallel:
        return self

    def __exit__(self, *error: object) -> None:
        if self._processes is None:
            finalize()


def spawn(
    backend: str | None,
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs_dict: Mapping[str, Any] | None = None,
    nproc_per_node: int = 1,
    **kwargs: Any,
) -> None:
    """Call ``fn(local_rank, *args, **kwargs_dict)`` in `nproc_per_node` new processes, or in this one if it is 1.

    Raises:
        NotImplementedError: `nnodes` is more than 1.
    """
    _check_one_machine("spawn", kwargs.pop("nnodes", None))
    options = {key: kwargs[key] for key in ("timeout",) if key in kwargs}
    if nproc_per_node == 1:
        fn(0, *args, **(kwargs_dict or {}))
    else:
        launch(_call, nproc_per_node, backend, options, fn, args, dict(kwargs_dict or {}))


def _call(
    backend: str | None, options: dict[str, Any], fn: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> None:
    initialize(backend, **options)
    try:
        fn(get_local_rank(), *args, **kwargs)
    finally:
        finalize()


def _check_one_machine(caller: str, nnodes: int | None) -> None:
    if (nnodes or 1) > 1:
        raise NotImplementedError(
            f"{caller}() was called with nnodes={nnodes}, but it starts processes on this machine only. Start the "
            f"script with torchrun --nnodes {nnodes} on each machine, and leave out nnodes and nproc_per_node."
        )
