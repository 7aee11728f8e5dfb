"""`create_lr_scheduler_with_warmup`: a linear warm-up before another scheduler."""

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
    """Return a scheduler with a linear warm-up, followed by `lr_scheduler`.

    Event 0 gets `warmup_start_value`, event ``warmup_duration - 1`` the end value. The next event gets the first value
    of `lr_scheduler`, or its second value if the first is equal to the end value.

    Args:
        lr_scheduler: a scheduler of torch, or a `ParamScheduler`. The warm-up sets the same parameter groups.
        warmup_start_value: value at the first event.
        warmup_duration: number of events of the warm-up, at least 2.
        warmup_end_value: value at the last event of the warm-up; the current value of each parameter group unless
            given.
        save_history: append the values to ``engine.state.param_history``.
        output_simulated_values: a list, such as ``[None] * 100``. It is filled with the result of `simulate_values` for
            as many events as it has items.

    Raises:
        TypeError: `lr_scheduler` is not such a scheduler, `warmup_duration` is not an integer, or
            `output_simulated_values` is not a list.
        ValueError: `warmup_duration` is less than 2.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor(0.0))
        >>> optimizer = torch.optim.SGD([weight], lr=0.1)
        >>> steps = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
        >>> values = [None] * 4
        >>> scheduler = create_lr_scheduler_with_warmup(
        ...     steps, warmup_start_value=0.0, warmup_duration=2, output_simulated_values=values
        ... )
        >>> values
        [[0, 0.0], [1, 0.1], [2, 0.1], [3, 0.05]]
    """
    _check(lr_scheduler, warmup_duration, output_simulated_values)
    after = lr_scheduler if isinstance(lr_scheduler, ParamScheduler) else LRScheduler(lr_scheduler)
    groups = after.optimizer_param_groups
    ends = [group[after.param_name] if warmup_end_value is None else warmup_end_value for group in groups]
    ends = [float(end) for end in ends]  # the warm-up changes a tensor in the parameter group
    warmup = _warmup(after, warmup_start_value, ends, warmup_duration)
    durations = [warmup_duration - _starts_with(after, ends)]
    if output_simulated_values is not None:
        events = len(output_simulated_values)
        output_simulated_values[:] = ConcatScheduler.simulate_values(events, [warmup, after], durations)
    return ConcatScheduler([warmup, after], durations, save_history)


def _warmup(after: ParamScheduler, start: float, ends: Sequence[float], duration: int) -> ParamGroupScheduler:
    """Return a scheduler of the parameter groups of `after`, from `start` to the end value of each group."""
    numbers = range(len(ends)) if after.param_group_index is None else [after.param_group_index]
    return ParamGroupScheduler(
        [
            PiecewiseLinear(
                after.optimizer, after.param_name, [(0, start), (duration - 1, end)], param_group_index=number
            )
            for number, end in zip(numbers, ends)
        ]
    )


def _starts_with(scheduler: ParamScheduler, values: Sequence[float]) -> bool:
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
