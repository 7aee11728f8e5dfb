"""`Parallel`: calls a training function in the only process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fsm_engine.distributed import utils


class Parallel:
    """Context manager whose `run` calls a function with its local rank, which is 0.

    ``with Parallel() as parallel: parallel.run(main, config)`` calls ``main(0, config)``.

    Args:
        backend: ignored, because one process needs no communication.
        nproc_per_node: number of processes per machine; None or 1.
        nnodes: number of machines; None or 1.
        **kwargs: further arguments of ``ignite.distributed.Parallel``, which concern several processes.

    Raises:
        NotImplementedError: more than one process is asked for, or was started by a launcher.
    """

    def __init__(
        self,
        backend: str | None = None,
        nproc_per_node: int | None = None,
        nnodes: int | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        for name, count in (("nproc_per_node", nproc_per_node), ("nnodes", nnodes)):
            if (count or 1) > 1:
                raise utils.several_processes_error(f"Parallel() was called with {name}={count}")
        utils.initialize(backend)
        self.backend = backend

    def run(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call ``func(0, *args, **kwargs)`` and return its result."""
        return func(utils.get_local_rank(), *args, **kwargs)

    def __enter__(self) -> Parallel:
        return self

    def __exit__(self, *error: object) -> None:
        utils.finalize()
