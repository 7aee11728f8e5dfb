"""`create_lr_scheduler_with_warmup`: a straight line before another scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose
from numbers import Integral
from typing import Any

from fsm_engine.handlers.param_scheduler.base import ParamScheduler
from fsm_engine.handlers.param_scheduler.concat import ConcatScheduler
from fsm_engine.handlers.param_scheduler.groups import ParamGroupScheduler
from fsm_engine.handlers.param_scheduler.lr_scheduler import LRScheduler, check_torch_scheduler
from fsm_engine.handlers.param_scheduler.piecewise import PiecewiseLinear


def create_lr_scheduler_with_warmup(
    lr_scheduler: Any,
    warmup_start_value: float,
    warmup_duration: int,
    warmup_end_value: float | None = None,
    save_history: bool = False,
    output_simulated_values: list[Any] | None = None,
) -> ConcatScheduler:
    """Return a scheduler that goes in a straight line to the first value of another one, which then goes on.

    Event 0 has the start, event ``warmup_duration - 1`` the end. If that is what `lr_scheduler` begins with, its
    second value comes next, else its first.

    Args:
        lr_scheduler: a scheduler of torch, or one of this package's; the groups that it sets are warmed up.
        warmup_start_value: at the first event.
        warmup_duration: how many events that takes, two or more.
        warmup_end_value: at the last of them; what the optimizer has, for each group, unless given.
        save_history: whether the values are kept in ``engine.state.param_history``.
        output_simulated_values: a list, such as ``[None] * 100``, that is filled with as many events of what
            `simulate_values` of the result returns.

    Raises:
        TypeError: for something that is no scheduler of one setting, no number of events, or no list.
        ValueError: for a warm-up of less than two events.
    """
    _check(lr_scheduler, warmup_duration, output_simulated_values)
    after = lr_scheduler if isinstance(lr_scheduler, ParamScheduler) else LRScheduler(lr_scheduler)
    groups = after.optimizer_param_groups
    ends = [group[after.param_name] if warmup_end_value is None else warmup_end_value for group in groups]
    ends = [float(end) for end in ends]  # a tensor would change under the warm-up
    warmup = _line(after, warmup_start_value, ends, warmup_duration)
    lasts = warmup_duration - _begins_with(after, ends)
    if output_simulated_values is not None:
        events = len(output_simulated_values)
        output_simulated_values[:] = ConcatScheduler.simulate_values(events, [warmup, after], [lasts])
    return ConcatScheduler([warmup, after], [lasts], save_history)


def _line(after: ParamScheduler, start: float, ends: Sequence[float], duration: int) -> ParamGroupScheduler:
    """Return what takes each group that `after` sets from `start` to its end."""
    numbers = range(len(ends)) if after.param_group_index is None else [after.param_group_index]
    return ParamGroupScheduler(
        [
            PiecewiseLinear(
                after.optimizer, after.param_name, [(0, start), (duration - 1, end)], param_group_index=number
            )
            for number, end in zip(numbers, ends)
        ]
    )


def _begins_with(scheduler: ParamScheduler, values: Sequence[float]) -> bool:
    first = scheduler.get_param()
    firsts = first if isinstance(first, list) else [first] * len(values)
    return all(isclose(one, other, rel_tol=1e-12) for one, other in zip(firsts, values))


def _check(lr_scheduler: Any, duration: Any, simulated: Any) -> None:
    if not isinstance(lr_scheduler, ParamScheduler):
        check_torch_scheduler(lr_scheduler, " or ParamScheduler")
    if not isinstance(duration, Integral):
        raise TypeError(f"Argument warmup_duration should be integer, but given {duration}")
    if duration < 2:
        raise ValueError(f"Argument warmup_duration should be at least 2 events, but given {duration}")
    if simulated is not None and not isinstance(simulated, list):
        raise TypeError(
            f"Argument output_simulated_values should be a list of None, e.g. `[None] * 100`, but given "
            f"{type(simulated)}."
        )
