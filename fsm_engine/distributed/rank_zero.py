"""`rank_zero`: calls a function on rank 0 only."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch.distributed as c10d

P = ParamSpec("P")
R = TypeVar("R")


def rank_zero(function: Callable[P, R]) -> Callable[P, R | None]:
    """Return a function that calls `function` on rank 0, and returns None on other ranks without calling it.

    `function` must not communicate with other ranks: they would not answer. Example::

        @trainer.on(Events.EPOCH_COMPLETED)
        @rank_zero
        def log(engine):
            print(engine.state.epoch, engine.state.output)
    """

    @functools.wraps(function)
    def call_on_rank_zero(*args: P.args, **kwargs: P.kwargs) -> R | None:
        rank = c10d.get_rank() if c10d.is_available() and c10d.is_initialized() else 0
        return function(*args, **kwargs) if rank == 0 else None

    return call_on_rank_zero
