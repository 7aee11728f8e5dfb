"""Simulation of schedulers: their values, without changing an optimizer or a scheduler."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from fsm_engine.handlers.param_scheduler.base import BaseParamScheduler

S = TypeVar("S", bound="BaseParamScheduler")


class FakeOptimizer:
    """Optimizer for simulations: it has copies of the settings of an optimizer, but no parameters."""

    def __init__(self, param_groups: Iterable[Mapping[str, Any]]) -> None:
        self.param_groups = [
            {key: copy.deepcopy(value) for key, value in group.items() if key != "params"} for group in param_groups
        ]

    def step(self) -> None:
        """Do nothing. The schedulers of torch look for this method."""


def copies_for_simulation(schedulers: Sequence[S]) -> list[S]:
    """Return deep copies of `schedulers`, with a `FakeOptimizer` in place of each optimizer."""
    memo: dict[int, Any] = {}
    for scheduler in schedulers:
        optimizers = scheduler.optimizer if isinstance(scheduler.optimizer, list) else [scheduler.optimizer]
        for optimizer in optimizers:
            memo.setdefault(id(optimizer), FakeOptimizer(optimizer.param_groups))
    return [copy.deepcopy(scheduler, memo) for scheduler in schedulers]


def simulate(scheduler: Callable[[], None], num_events: int, values: Callable[[], list[Any]]) -> list[list[Any]]:
    """Call `scheduler` `num_events` times, and return ``[event, *values()]`` after each call."""
    rows = []
    for event in range(num_events):
        scheduler()
        rows.append([event, *values()])
    return rows
