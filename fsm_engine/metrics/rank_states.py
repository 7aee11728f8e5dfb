"""How the states of a metric on several ranks become one state: the operations of `Metric.state_reductions`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine import distributed
from fsm_engine._util.plain_data import copy_plain, find, is_tensor
from fsm_engine.events.events import Events
from fsm_engine.events.scopes import Scope

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

_ONCE_PER_EPOCH = (Events.EPOCH_STARTED, Events.DATALOADER_STOP_ITERATION)

Reduction = str | Callable[[list[Any]], Any]
"""A key of `_OPERATIONS`, or a function from the values of all ranks to one value."""

Reductions = Mapping[str, Reduction]
"""The names of attributes, each with its operation."""


def _sum(values: list[Any]) -> Any:
    if isinstance(values[0], (list, tuple)):
        return [_sum(list(column)) for column in zip(*values)]
    return reduce(lambda one, other: one + other, values)


def _mean(values: list[Any]) -> Any:
    return _sum(values) / len(values)


def _largest(values: list[Any]) -> Any:
    return reduce(torch.maximum, values) if isinstance(values[0], torch.Tensor) else max(values)


def _smallest(values: list[Any]) -> Any:
    return reduce(torch.minimum, values) if isinstance(values[0], torch.Tensor) else min(values)


def _concatenation(values: list[Any]) -> Any:
    return torch.cat(values) if isinstance(values[0], torch.Tensor) else [item for items in values for item in items]


def _common_value(values: list[Any]) -> Any:
    given = [value for value in values if value]
    if any(value != given[0] for value in given):
        raise ValueError(f"ranks have different values: {given}. The data of all ranks must have the same form.")
    return given[0] if given else values[0]


_OPERATIONS: Mapping[str, Callable[[list[Any]], Any]] = {
    "sum": _sum,
    "mean": _mean,
    "max": _largest,
    "min": _smallest,
    "cat": _concatenation,
    "same": _common_value,
}


def reduced(operation: Reduction, values: list[Any]) -> Any:
    """Return one value for the values of all ranks.

    Raises:
        ValueError: the operation is unknown, or the values differ although they have to be the same.
    """
    if callable(operation):
        return operation(values)
    if operation not in _OPERATIONS:
        raise ValueError(
            f"state_reductions has the operation {operation!r}, which is not one of {', '.join(_OPERATIONS)}, metrics. "
            f"Use one of these or a function of the list of values."
        )
    return _OPERATIONS[operation](values)


def on_cpu(value: Any) -> Any:
    """Return a copy of `value` with tensors in compact memory of the CPU, for which the host waits for the device."""
    return copy_plain(value, lambda tensor: tensor.detach().to("cpu", copy=True))


def on_device_of(present: Any, device: str | torch.device | None, value: Any) -> Any:
    """Return `value` with its tensors on the device of the tensors in `present`; without any, on `device`."""
    found = find(is_tensor, present)
    if found is not None:
        target = found[1].device
    else:
        target = torch.device(device) if device is not None else distributed.device()
    return copy_plain(value, lambda tensor: tensor.to(target))


def place_of(engine: Engine) -> str:
    """Return the event and the place of a run, as far as they are equal on all ranks, although their data may differ.

    Ranks may have different numbers of batches, so the iteration is left out after an epoch.
    """
    state, parts = engine.state, [str(engine.last_event_name)]
    if hasattr(state, "epoch"):
        parts.append(f"epoch {state.epoch}")
    if is_in_iteration(engine):
        parts.append(f"iteration {state.iteration}")
    return ", ".join(parts)


def is_in_iteration(engine: Engine) -> bool:
    """Return True if the current phase belongs to an iteration or its batch."""
    phase = engine.phase
    return Scope.EPOCH.contains(phase.scope) and phase.event not in _ONCE_PER_EPOCH
