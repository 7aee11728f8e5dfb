"""`LinearCyclicalScheduler` and `CosineAnnealingScheduler`: a curve that repeats every cycle."""

from __future__ import annotations

import math
from typing import Any

from fsm_engine.handlers.param_scheduler.base import ParamScheduler


class CyclicalScheduler(ParamScheduler):
    """Set values on a curve from `start_value` to `end_value` that repeats every cycle.

    A subclass defines `get_param`.

    Args:
        optimizer: a torch optimizer, or an object with a list `param_groups` of dictionaries.
        param_name: key of the setting in the parameter groups.
        start_value: value at the start of the cycle.
        end_value: the other end of the curve.
        cycle_size: number of events in a cycle, at least 2.
        cycle_mult: factor for `cycle_size` and `warmup_duration` after each cycle. Sizes are rounded down; a cycle has
            at least one event.
        start_value_mult: factor for `start_value` after each cycle.
        end_value_mult: factor for `end_value` after each cycle.
        warmup_duration: number of events after each cycle in which the value changes linearly from the end of the cycle
            to the start of the next.
        save_history: append the values to ``engine.state.param_history``.
        param_group_index: index of the only parameter group to set; all groups unless given.

    Attributes:
        event_index: number of the next event in its cycle, from 0.
        cycle: number of the cycle, from 0. The attributes for sizes and values have the values for this cycle.

    Raises:
        TypeError: `optimizer` has no list `param_groups`.
        ValueError: `cycle_size` is less than 2, or `warmup_duration` is negative.

    Example:
        >>> class Steps(CyclicalScheduler):
        ...     def get_param(self):
        ...         return self.start_value if self.event_index < self.cycle_size / 2 else self.end_value
        >>> Steps.simulate_values(4, param_name="lr", start_value=1.0, end_value=0.1, cycle_size=4)
        [[0, 1.0], [1, 1.0], [2, 0.1], [3, 0.1]]
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

    def _fraction(self, progress: float) -> float:
        """Return the position between `start_value` (0) and `end_value` (1) after this part of the cycle, 0 to 1."""
        raise NotImplementedError(f"{type(self).__name__} has no curve. Define get_param(self) in it.")

    def get_param(self) -> float:
        """Return the value for the next event."""
        warmup_index = self.event_index - self.cycle_size
        if warmup_index <= 0:
            fraction = self._fraction(self.event_index / self.cycle_size)
            return self.start_value + (self.end_value - self.start_value) * fraction
        return self.end_value + (self._next_start - self.end_value) * warmup_index / self.warmup_duration

    @property
    def _next_start(self) -> float:
        return self.start_value * self.start_value_mult

    def _advance(self) -> None:
        super()._advance()
        if self.event_index >= self.cycle_size + self.warmup_duration:
            self._start_cycle()

    def _start_cycle(self) -> None:
        self.cycle += 1
        self.event_index = 0
        self.start_value = self._next_start
        self.end_value *= self.end_value_mult
        self.cycle_size = max(1, int(self.cycle_size * self.cycle_mult))
        self.warmup_duration = int(self.warmup_duration * self.cycle_mult)


class LinearCyclicalScheduler(CyclicalScheduler):
    """Set values on a line to `end_value` in the first half of each cycle, and back in the second half.

    Args:
        *args: arguments of `CyclicalScheduler`.
        monotonic: use the whole cycle for the line to `end_value`, and start the next cycle at `start_value` again.
        **kwargs: arguments of `CyclicalScheduler`.

    Raises:
        ValueError: `warmup_duration` is given without `monotonic`.

    Example:
        >>> LinearCyclicalScheduler.simulate_values(4, param_name="lr", start_value=1.0, end_value=0.0, cycle_size=4)
        [[0, 1.0], [1, 0.5], [2, 0.0], [3, 0.5]]
    """

    _saved = (*CyclicalScheduler._saved, "monotonic")

    def __init__(self, *args: Any, monotonic: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.warmup_duration and not monotonic:
            raise ValueError(
                "Invalid combination when warmup_duration > 0 and monotonic=False: without monotonic=True, a cycle "
                "ends at its start value and needs no warm-up. Give monotonic=True, or leave warmup_duration out."
            )
        self.monotonic = monotonic

    def _fraction(self, progress: float) -> float:
        return progress if self.monotonic else 1 - abs(1 - 2 * progress)


class CosineAnnealingScheduler(CyclicalScheduler):
    """Set values from `start_value` to `end_value` on half a cosine wave in each cycle.

    Args: see `CyclicalScheduler`.

    Example:
        >>> curve = {"param_name": "lr", "start_value": 1.0, "end_value": 0.0, "cycle_size": 4}
        >>> values = CosineAnnealingScheduler.simulate_values(4, **curve)
        >>> [[step, round(value, 4)] for step, value in values]
        [[0, 1.0], [1, 0.8536], [2, 0.5], [3, 0.1464]]
    """

    def _fraction(self, progress: float) -> float:
        return (1 - math.cos(math.pi * progress)) / 2
