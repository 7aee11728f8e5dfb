"""`rank_zero`: calls a function on rank 0 only."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from fsm_engine.distributed.collectives import one_rank_only

P = ParamSpec("P")
R = TypeVar("R")


def rank_zero(function: Callable[P, R]) -> Callable[P, R | None]:
    """Return a function that calls `function` on rank 0, and returns None on other ranks without calling it.

    `function` must not communicate with other ranks: they would not answer. Example::

        @trainer.on(Events.EPOCH_COMPLETED)
        @rank_zero
        def log(engine):
            print(engine.state.epoch, engine.state.output)

    Example:
        >>> @rank_zero
        ... def log(text):
        ...     print(text)
        >>> log("once, whatever the number of ranks")
        once, whatever the number of ranks
    """
    return one_rank_only()(function)
