"""`PiecewiseLinear`: lines between given values."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any

from fsm_engine.handlers.param_scheduler.base import ParamScheduler


class PiecewiseLinear(ParamScheduler):
    """Interpolate linearly between values at given events.

    The value is constant before the first and after the last of these events. If two values have the same event, the
    value jumps, and the event gets the second value.

    Args:
        optimizer: a torch optimizer, or an object with a list `param_groups` of dictionaries.
        param_name: key of the setting in the parameter groups.
        milestones_values: pairs (number of the event, value), sorted by event.
        save_history: append the values to ``engine.state.param_history``.
        param_group_index: index of the only parameter group to set; all groups unless given.

    Raises:
        TypeError: `optimizer` has no list `param_groups`; `milestones_values` is not a list; the number of an event is
            not an integer.
        ValueError: `milestones_values` is empty or not sorted, or has an item that is not a pair.

    Example:
        >>> PiecewiseLinear.simulate_values(5, param_name="lr", milestones_values=[(0, 0.0), (2, 1.0), (4, 0.5)])
        [[0, 0.0], [1, 0.5], [2, 1.0], [3, 0.75], [4, 0.5]]
    """

    _saved = (*ParamScheduler._saved, "milestones", "values")

    def __init__(
        self,
        optimizer: Any,
        param_name: str,
        milestones_values: Sequence[tuple[int, float]],
        save_history: bool = False,
        param_group_index: int | None = None,
    ) -> None:
        super().__init__(optimizer, param_name, save_history, param_group_index)
        check_pairs(milestones_values)
        self.milestones = [int(milestone) for milestone, _ in milestones_values]
        self.values = [value for _, value in milestones_values]

    def get_param(self) -> float:
        """Return the value for the next event."""
        return interpolated(self.milestones, self.values, self.event_index)


def interpolated(milestones: Sequence[int], values: Sequence[float], event: int) -> float:
    """Return the value at `event` on the lines between `values`, which belong to the events `milestones`."""
    after = bisect_right(milestones, event)
    if after == 0 or after == len(milestones):
        return values[max(after - 1, 0)]
    (begin, end), (start, goal) = milestones[after - 1 : after + 1], values[after - 1 : after + 1]
    return start + (goal - start) * (event - begin) / (end - begin)


def check_pairs(pairs: Any) -> None:
    """Raise TypeError or ValueError unless `pairs` is a list of pairs of an event and a value, sorted by event."""
    if not isinstance(pairs, (list, tuple)):
        raise TypeError(f"Argument milestones_values should be a list or tuple, but given {type(pairs)}")
    if not pairs:
        raise ValueError(f"Argument milestones_values should be with at least one value, but given {pairs}")
    for pair in pairs:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise ValueError(
                f"Argument milestones_values should be a list of pairs (milestone, param_value), but has {pair!r}"
            )
        if not isinstance(pair[0], Integral):
            raise TypeError(f"Value of a milestone should be integer, but given {pair[0]!r}")
    for (before, _), (milestone, _) in pairwise(pairs):
        if milestone < before:
            raise ValueError(
                f"Milestones should be increasing integers, but given {milestone} is smaller than the previous "
                f"milestone {before}"
            )
