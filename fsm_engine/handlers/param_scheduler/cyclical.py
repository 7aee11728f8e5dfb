"""`LinearCyclicalScheduler`, `CosineAnnealingScheduler`: from one value to another, again and again."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

from fsm_engine.handlers.param_scheduler.base import ParamScheduler


class CyclicalScheduler(ParamScheduler):
    """Goes through the same curve in each cycle of events; a subclass says through which.

    Args:
        optimizer: a torch optimizer, or anything with a list `param_groups` of dictionaries.
        param_name: the key in those.
        start_value: the value that a cycle begins with.
        end_value: the value that it goes to.
        cycle_size: how many events a cycle has, two or more.
        cycle_mult: makes each cycle, and its warm-up, that many times as long as the one before, rounded down; a
            cycle has always one event.
        start_value_mult: multiplies `start_value` from cycle to cycle.
        end_value_mult: multiplies `end_value` likewise.
        warmup_duration: how many further events lead in a straight line from the end of a cycle to the start of the
            next.
        save_history: whether the values are kept in ``engine.state.param_history``.
        param_group_index: the only group to set; all of them unless given.

    Attributes:
        event_index: the number of the next event in its cycle.
        cycle: the number of that cycle. Sizes and values are those of this cycle.

    Raises:
        TypeError: for something that is no optimizer.
        ValueError: for a cycle of less than two events, or a warm-up of less than none.
    """

    _saved = (
        *ParamScheduler._saved,
        *("start_value", "end_value", "cycle_size", "cycle_mult", "cycle"),
        *("start_value_mult", "end_value_mult", "warmup_duration"),
    )

    def __init__(
        self,
        optimizer: Any,
        param_name: str,
        start_value: float,
        end_value: float,
        cycle_size: int,
        cycle_mult: float = 1.0,
        start_value_mult: float = 1.0,
        end_value_mult: float = 1.0,
        warmup_duration: int = 0,
        save_history: bool = False,
        param_group_index: int | None = None,
    ) -> None:
        super().__init__(optimizer, param_name, save_history, param_group_index)
        if cycle_size < 2:
            raise ValueError(f"Argument cycle_size should be positive and larger than 1, but given {cycle_size}")
        if warmup_duration < 0:
            raise ValueError(f"Argument warmup_duration should not be negative, but given {warmup_duration}")
        self.start_value, self.start_value_mult = start_value, start_value_mult
        self.end_value, self.end_value_mult = end_value, end_value_mult
        self.cycle_size, self.warmup_duration, self.cycle_mult = cycle_size, warmup_duration, cycle_mult
        self.cycle = 0

    @abstractmethod
    def _value_at(self, progress: float) -> float:
        """Return the value after this part of the cycle, between 0 and 1."""

    def get_param(self) -> float:
        """Return the value that is set next."""
        beyond = self.event_index - self.cycle_size
        if beyond <= 0:
            return self._value_at(self.event_index / self.cycle_size)
        return self.end_value + (self._next_start - self.end_value) * beyond / self.warmup_duration

    @property
    def _next_start(self) -> float:
        return self.start_value * self.start_value_mult

    def _advance(self) -> None:
        super()._advance()
        if self.event_index >= self.cycle_size + self.warmup_duration:
            self._begin_cycle()

    def _begin_cycle(self) -> None:
        self.cycle += 1
        self.event_index = 0
        self.start_value = self._next_start
        self.end_value *= self.end_value_mult
        self.cycle_size = max(1, int(self.cycle_size * self.cycle_mult))
        self.warmup_duration = int(self.warmup_duration * self.cycle_mult)


class LinearCyclicalScheduler(CyclicalScheduler):
    """Goes in a straight line to `end_value` in half a cycle, and back in the other half.

    Args:
        *args: those of `CyclicalScheduler`.
        monotonic: goes one way, all the cycle long, and jumps back.
        **kwargs: those of `CyclicalScheduler`.

    Raises:
        ValueError: for a warm-up unless `monotonic`: this goes back by itself.
    """

    _saved = (*CyclicalScheduler._saved, "monotonic")

    def __init__(self, *args: Any, monotonic: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.warmup_duration and not monotonic:
            raise ValueError(
                "Invalid combination when warmup_duration > 0 and monotonic=False: without monotonic=True, a cycle "
                "comes back to its start by itself. Leave one of them out."
            )
        self.monotonic = monotonic

    def _value_at(self, progress: float) -> float:
        way = progress if self.monotonic else 1 - abs(1 - 2 * progress)
        return self.start_value + (self.end_value - self.start_value) * way


class CosineAnnealingScheduler(CyclicalScheduler):
    """Goes from `start_value` to `end_value` along half a wave of the cosine in each cycle, and jumps back.

    Args: those of `CyclicalScheduler`.
    """

    def _value_at(self, progress: float) -> float:
        way = (1 - math.cos(math.pi * progress)) / 2
        return self.start_value + (self.end_value - self.start_value) * way
