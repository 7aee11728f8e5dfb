"""`Metric`: base class of all metrics, and the handlers by which an engine resets, updates and computes them."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Number
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from fsm_engine.metrics.operators import MetricOperators
from fsm_engine.metrics.state_dict import attributes_of, check_state_dict, copy_of
from fsm_engine.metrics.usage import AnyUsage, EpochWise, Usage, usage_of

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine
    from fsm_engine.events.events import CallableEventWithFilter

OutputTransform = Callable[[Any], Any]

EventHandlers = list[tuple[Callable[..., None], "CallableEventWithFilter"]]
"""Handlers, each with the event that it is attached to."""


class NotComputableError(RuntimeError):
    """A metric cannot be computed because it has no data."""


def unchanged(output: Any) -> Any:
    """Return `output`. The default `output_transform`: a function, not a lambda, so that metrics can be pickled."""
    return output


class Metric(MetricOperators, ABC):
    """Base class of metrics, which an engine computes from the outputs of its step.

    A subclass defines `reset`, `update` and `compute`. If it has an `__init__`, ``super().__init__()``, which calls
    `reset`, comes last there. Expressions of metrics, such as ``2 * p * r / (p + r)``, are metrics (`MetricsLambda`).

    The engine calls these three through `started`, `iteration_completed` and `completed`. A subclass that needs the
    engine itself, as some metrics written for pytorch-ignite do, overrides these.

    If `output_transform` returns two lists (or tuples) of tensors or numbers, an attached metric is updated with one
    pair after the other, each as a batch of one.

    Args:
        output_transform: function from ``engine.state.output`` to the argument of `update`.
        device: device on which the metric computes; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Raises:
        TypeError: `output_transform` is not callable.

    Example:
        >>> class Longest(Metric):
        ...     def reset(self):
        ...         self.longest = 0
        ...     def update(self, output):
        ...         self.longest = max(self.longest, len(output))
        ...     def compute(self):
        ...         return self.longest
        >>> engine = Engine(lambda engine, batch: batch)
        >>> Longest().attach(engine, "longest")
        >>> engine.run(["a", "abc", "ab"]).metrics
        {'longest': 3}
    """

    _state_dict_all_req_keys: ClassVar[tuple[str, ...] | None] = None
    """Names of the attributes that `state_dict` saves; None means all attributes that hold data."""

    def __init__(
        self,
        output_transform: OutputTransform = unchanged,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        if not callable(output_transform):
            raise TypeError(f"Argument output_transform should be callable, got {output_transform!r}.")
        self.output_transform = output_transform
        self.device = device
        self.skip_unrolling = skip_unrolling
        self.reset()

    @abstractmethod
    def reset(self) -> None:
        """Discard all data."""

    @abstractmethod
    def update(self, output: Any) -> None:
        """Add the data of one iteration."""

    @abstractmethod
    def compute(self) -> Any:
        """Return the value of the metric for the data since `reset`.

        Raises:
            NotComputableError: the metric has no data.
        """

    def started(self, engine: Engine) -> None:  # noqa: ARG002  # for subclasses
        """Reset the metric. The engine calls this method at the event `Usage.STARTED`."""
        self.reset()

    def iteration_completed(self, engine: Engine) -> None:
        """Update the metric from ``engine.state.output``.

        The engine calls this method at the event `Usage.ITERATION_COMPLETED`.
        """
        output = self.output_transform(engine.state.output)
        for item in (output,) if self.skip_unrolling else _unroll(output):
            self.update(item)

    def completed(self, engine: Engine, name: str) -> None:
        """Compute the metric and store its value in ``engine.state.metrics[name]``.

        The engine calls this method at the event `Usage.COMPLETED`.

        Raises:
            ValueError: the value is a mapping that has `name` as a key.
            NotComputableError: the metric has no data.
        """
        value = _without_scalar_tensors(self.compute())
        if isinstance(value, dict):
            if name in value:
                raise ValueError(
                    f"Argument name {name!r} is conflicting with mapping keys: {list(value)}. "
                    f"Attach the metric under another name."
                )
            engine.state.metrics.update(value)
        engine.state.metrics[name] = value

    def attach(self, engine: Engine, name: str, usage: AnyUsage | None = None) -> None:
        """Let `engine` compute this metric and store its value in ``engine.state.metrics[name]``.

        A 0-d tensor becomes a Python number, for which the host waits for the device each time the metric is computed.
        If the value is a mapping, its items are stored under their own keys, too.

        Warns if another metric is attached to `engine` under this name, because each overwrites the value of the other.

        A metric that is attached under several names, or with several usages that update it at the same event, is
        updated once per event.

        Args:
            engine: engine that computes the metric from ``engine.state.output``.
            name: key of the value.
            usage: events at which the engine resets, updates and computes the metric: a `Usage`, its class, or its
                name. None means the default of the metric, for most metrics once per epoch.

        Raises:
            ValueError: no usage has this name. During a run: the value is a mapping that has `name` as a key.
            TypeError: `usage` has another type.
            NotComputableError: during a run, the metric has no data.
        """
        usage = self._usage_of(usage)
        _warn_name_taken(engine, name, self)
        for handler, event in self._reset_and_update_handlers(usage):
            if not engine.has_event_handler(handler, event):
                engine.add_event_handler(event, handler)
        engine.add_event_handler(usage.COMPLETED, _ComputeHandler(self, usage, name))

    def detach(self, engine: Engine, usage: AnyUsage | None = None) -> None:
        """Undo `attach` with this usage for all names. Do nothing if the metric is not attached with it.

        Handlers that another usage of this metric needs stay attached.
        """
        usage = self._usage_of(usage)
        compute = _ComputeHandler(self, usage)
        if not engine.has_event_handler(compute, usage.COMPLETED):
            return
        engine.remove_event_handler(compute, usage.COMPLETED)
        needed = [
            pair for other in _compute_handlers(engine) for pair in other.metric._reset_and_update_handlers(other.usage)
        ]
        for handler, event in self._reset_and_update_handlers(usage):
            if (handler, event) not in needed and engine.has_event_handler(handler, event):
                engine.remove_event_handler(handler, event)

    def is_attached(self, engine: Engine, usage: AnyUsage | None = None) -> bool:
        """Return True if the metric is attached to `engine` with this usage."""
        usage = self._usage_of(usage)
        return engine.has_event_handler(_ComputeHandler(self, usage), usage.COMPLETED)

    def state_dict(self) -> dict[str, Any]:
        """Return the data accumulated since `reset`, as plain data and copies of tensors.

        Raises:
            TypeError: an attribute holds anything else. `_state_dict_all_req_keys` names the attributes to save.
        """
        return attributes_of(self, self._state_dict_all_req_keys)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the data that `state_dict` returned.

        Raises:
            TypeError: `state_dict` is not a mapping.
            ValueError: `state_dict` belongs to another metric. This metric stays unchanged.
        """
        check_state_dict(self, state_dict, self.state_dict(), more=self._state_dict_all_req_keys is None)
        for name, value in state_dict.items():
            setattr(self, name, copy_of(value))

    def _usage_of(self, usage: AnyUsage | None) -> Usage:
        return usage_of(EpochWise if usage is None else usage)

    def _reset_and_update_handlers(self, usage: Usage) -> EventHandlers:
        """Return the handlers that reset and update this metric."""
        return [(_ResetHandler(self), usage.STARTED), (_UpdateHandler(self), usage.ITERATION_COMPLETED)]

    def _update_as_part(self, engine: Engine) -> None:
        """Update this metric, which is part of another metric, in an iteration of `engine`."""
        self.iteration_completed(engine)

    def _class_name(self) -> str:
        return type(self).__name__

    def _state_owner(self) -> Metric | None:
        """Return the metric whose state dict an engine saves for this metric."""
        return self


def _unroll(output: Any) -> Iterable[Any]:
    """Return the pairs of values from two lists, each value as a batch of one; any other output as one item."""
    if not (isinstance(output, (tuple, list)) and output and all(map(_is_list_of_values, output))):
        return (output,)
    lengths = [len(part) for part in output]
    if len(lengths) != 2 or lengths[0] != lengths[1]:
        raise ValueError(
            f"Output should have 2 items of the same length, got {len(lengths)} items of the lengths {lengths}. "
            f"Make the metric with skip_unrolling=True to pass lists to update() unchanged."
        )
    return map(_as_batches, *output)


def _is_list_of_values(part: Any) -> bool:
    return isinstance(part, (tuple, list)) and all(isinstance(value, (torch.Tensor, Number)) for value in part)


def _as_batches(y_pred: Any, y: Any) -> tuple[torch.Tensor, torch.Tensor]:
    batch = _as_batch(y_pred, None)
    return batch, _as_batch(y, batch.device)


def _as_batch(value: Any, device: torch.device | None) -> torch.Tensor:
    return value.unsqueeze(0) if isinstance(value, torch.Tensor) else torch.tensor([value], device=device)


@dataclass(frozen=True)
class MetricHandler:
    """Base class of event handlers for a metric; equal for equal metrics, so that an engine finds them again."""

    metric: Metric

    @property
    def owner(self) -> Metric | None:
        """Metric whose state dict an engine saves for this handler."""
        return self.metric._state_owner()


@dataclass(frozen=True)
class _ResetHandler(MetricHandler):
    def __call__(self, engine: Engine) -> None:
        self.metric.started(engine)


@dataclass(frozen=True)
class _UpdateHandler(MetricHandler):
    def __call__(self, engine: Engine) -> None:
        self.metric.iteration_completed(engine)


@dataclass(frozen=True)
class _ComputeHandler(MetricHandler):
    usage: Usage
    name: str = field(default="", compare=False)  # not compared, so that `detach` finds the handlers of all names

    def __call__(self, engine: Engine) -> None:
        self.metric.completed(engine, self.name)


def _compute_handlers(engine: Engine) -> list[_ComputeHandler]:
    return [handler for handler in engine.handlers() if isinstance(handler, _ComputeHandler)]


def _warn_name_taken(engine: Engine, name: str, metric: Metric) -> None:
    """Warn if another metric is attached to `engine` under `name`."""
    others = [handler.metric for handler in _compute_handlers(engine) if handler.name == name]
    other = next((other for other in others if other != metric), None)
    if other is not None:
        old, new = other._class_name(), metric._class_name()
        warnings.warn(
            f"The metrics {old} and {new} are both attached to this engine under the name {name!r}, so each overwrites "
            f"the value of the other in engine.state.metrics. Attach {new} under another name, such as "
            f"attach(engine, {name + '_2'!r}), or call detach(engine) of {old} first.",
            stacklevel=3,
        )


def _without_scalar_tensors(value: Any) -> Any:
    """Return `value` with 0-d tensors as numbers, also in nested mappings."""
    if isinstance(value, (float, int)):  # first, because checks for Mapping and Tensor take much longer
        return value
    if isinstance(value, Mapping):
        return {key: _without_scalar_tensors(item) for key, item in value.items()}
    return value.item() if isinstance(value, torch.Tensor) and value.ndim == 0 else value
