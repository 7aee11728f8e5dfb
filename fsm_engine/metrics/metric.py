"""`Metric`: base class of all metrics."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from fsm_engine import distributed
from fsm_engine._util.identity import identity
from fsm_engine._util.lazy_modules import names_of, public_names
from fsm_engine._util.plain_data import map_leaves
from fsm_engine._util.signatures import call_error
from fsm_engine.distributed.gathering import gather_for
from fsm_engine.metrics.metric_handlers import (
    ComputeHandler,
    EventHandlers,
    ResetHandler,
    UpdateHandler,
    check_engine,
    compute_handlers,
    warn_name_taken,
)
from fsm_engine.metrics.operators import MetricOperators
from fsm_engine.metrics.rank_states import Reductions, on_cpu, on_device_of, place_of, reduced
from fsm_engine.metrics.reduction import reduces_itself
from fsm_engine.metrics.state_dict import attributes_of, check_state_dict, load_attributes
from fsm_engine.metrics.unrolling import unroll
from fsm_engine.metrics.usage import AnyUsage, EpochWise, Usage, usage_of

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine
else:
    __getattr__ = names_of(__name__)  # names that pytorch-ignite has in this module

__all__ = ["Metric", "NotComputableError", *public_names(__name__)]  # pyright: ignore[reportUnsupportedDunderAll]

OutputTransform = Callable[[Any], Any]

_RESULT_MODES = ("flatten", "named", "both")


class NotComputableError(RuntimeError):
    """A metric cannot be computed because it has no data.

    Example:
        >>> try:
        ...     Average().compute()
        ... except NotComputableError:
        ...     print("no data yet")
        no data yet
    """


class Metric(MetricOperators, ABC):
    """Base class of metrics, which an engine computes from the outputs of its step.

    A subclass defines `reset`, `update` and `compute`. If it has an `__init__`, ``super().__init__()``, which calls
    `reset`, comes last there. Expressions of metrics, such as ``2 * p * r / (p + r)``, are metrics (`MetricsLambda`).

    With several ranks, an attached metric is computed from the data of all ranks. For that, a subclass declares in
    `state_reductions` how the attributes that `reset` sets become one value, or decorates `compute` with
    `sync_all_reduce`. Other subclasses have the value of the own rank, with a warning. The data is exchanged when the
    metric is computed and not when it is updated, so ranks may have different numbers of batches, or none. All ranks
    have to compute the metric: an evaluator that only rank 0 runs waits for the others, and says so in the log.
    `compute` itself has the data of the own rank; ``metric.over_ranks().compute()`` has the data of all.

    The engine calls these three through `started`, `iteration_completed` and `completed`. A subclass that needs the
    engine itself, as some metrics written for pytorch-ignite do, overrides these.

    If `output_transform` returns two lists (or tuples) of tensors or numbers, an attached metric is updated with one
    pair after the other, each as a batch of one. If it returns a mapping, `update` gets a tuple of the values of
    `required_output_keys`.

    Args:
        output_transform: function from ``engine.state.output`` to the argument of `update`.
        device: device on which the metric computes; None means the device of the data. ``self._device`` is a
            `torch.device` in any case: the CPU for None.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.
        metrics_result_mode: how to store a value that is a mapping: "flatten" stores its items under their own keys,
            "named" the mapping under the name of the metric, "both" stores both.

    Attributes:
        required_output_keys: keys of the values that `update` gets, if the output is a mapping; None if `update`
            does not accept the values of a mapping.
        state_reductions: for each attribute with data: "sum", "mean", "max", "min", "cat" (joined lists or tensors),
            "same" (equal on all ranks that have data), "metrics" (a metric, or a container of metrics), or a function
            from the list of the ranks' values to one value. None if the metric does not declare it.

    Raises:
        TypeError: `output_transform` is not callable.
        ValueError: `metrics_result_mode` is not one of these.

    Example:
        >>> class Longest(Metric):
        ...     state_reductions = {"longest": "max"}
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

    state_reductions: ClassVar[Reductions | None] = None

    required_output_keys: tuple[str, ...] | None = ("y_pred", "y")
    _required_output_keys = required_output_keys
    _metrics_result_mode = "both"

    def __init__(
        self,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
        metrics_result_mode: str = "both",
    ) -> None:
        if not callable(output_transform):
            raise TypeError(f"Argument output_transform should be callable, got {output_transform!r}.")
        error = call_error(output_transform, None)
        if error is not None:
            raise TypeError(
                f"Argument output_transform is called with one argument, the output of the engine, but it cannot be: "
                f"{error}. Write lambda output: ..."
            )
        if metrics_result_mode not in _RESULT_MODES:
            raise ValueError(
                f"Argument metrics_result_mode should be one of {', '.join(_RESULT_MODES)}, got "
                f"{metrics_result_mode!r}."
            )
        self.output_transform = output_transform
        self.device = device
        _ = self._device  # an error here if there is no such device
        self.skip_unrolling = skip_unrolling
        if metrics_result_mode != "both":
            self._metrics_result_mode = metrics_result_mode
        self.reset()

    # The names of these attributes in pytorch-ignite, for subclasses that were written for it

    @property
    def _output_transform(self) -> OutputTransform:
        return self.output_transform

    @_output_transform.setter
    def _output_transform(self, function: OutputTransform) -> None:
        self.output_transform = function

    @property
    def _device(self) -> torch.device:
        return torch.device(self.device or "cpu")

    @_device.setter
    def _device(self, device: str | torch.device) -> None:
        self.device = device

    @property
    def _skip_unrolling(self) -> bool:
        return self.skip_unrolling

    @_skip_unrolling.setter
    def _skip_unrolling(self, skip: bool) -> None:
        self.skip_unrolling = skip

    @property
    def _double_dtype(self) -> torch.dtype:
        return torch.float32 if self._device.type == "mps" else torch.float64  # MPS has no float64

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

    @torch.no_grad()
    def iteration_completed(self, engine: Engine) -> None:
        """Update the metric from ``engine.state.output``, without gradients.

        The engine calls this method at the event `Usage.ITERATION_COMPLETED`.

        Raises:
            TypeError: the output is a mapping, and the metric has no `required_output_keys`.
            ValueError: the output is a mapping without these keys, or has two lists of different lengths.
        """
        output = self.output_transform(engine.state.output)
        if isinstance(output, Mapping):
            output = self._required_items(output)
        for item in (output,) if self.skip_unrolling else unroll(output):
            self.update(item)

    def _required_items(self, output: Mapping[str, Any]) -> Any:
        """Return the argument of `update` for an output that is a mapping."""
        keys = self.required_output_keys
        if keys is None:
            raise TypeError(
                f"Transformed engine output for {self._class_name()} metric should be a tuple/list, but given "
                f"{type(output)}. Give the metric an output_transform= that returns its argument."
            )
        if not all(key in output for key in keys):
            raise ValueError(
                f"When transformed engine's output is a mapping, it should contain {keys} keys, but given "
                f"{list(output)}."
            )
        return tuple(output[key] for key in keys)

    def completed(self, engine: Engine, name: str) -> None:
        """Compute the metric from the data of all ranks and store its value in ``engine.state.metrics[name]``.

        The engine calls this method at the event `Usage.COMPLETED`.

        Raises:
            ValueError: the value is a mapping that has `name` as a key.
            NotComputableError: the metric has no data.
            RankMismatchError: other ranks compute another metric, or do so at another place.
        """
        value = _as_stored(self._over_ranks_at(engine, name).compute())
        if not isinstance(value, dict):
            engine.state.metrics[name] = value
            return
        mode = self._metrics_result_mode
        if mode != "flatten" and name in value:
            raise ValueError(
                f"Argument name {name!r} is conflicting with mapping keys: {list(value)}. "
                f"Attach the metric under another name."
            )
        if mode != "named":
            engine.state.metrics.update(value)
        if mode != "flatten":
            engine.state.metrics[name] = value

    def over_ranks(self, purpose: str | None = None) -> Metric:
        """Return a copy of this metric that has the data of all ranks, or in a single process this metric.

        A collective operation: all ranks must call it. The data is pickled on the CPU.

        Args:
            purpose: a text that is equal on all ranks, to name this call in errors and warnings.

        Raises:
            RankMismatchError: the purposes differ, or a rank has data that cannot be sent.
            ValueError: the data of the ranks do not fit together.
        """
        if distributed.get_world_size() == 1:
            return self
        states = gather_for(purpose or f"over_ranks() of {self._class_name()}", self._rank_state)
        return self._merged(states)

    def _over_ranks_at(self, engine: Engine, name: str) -> Metric:
        if distributed.get_world_size() == 1:
            return self
        return self.over_ranks(f"the metric {name!r} ({self._class_name()}) at {place_of(engine)}")

    def _rank_state(self) -> Any:
        """Return the data that other ranks need to compute this metric, with tensors on the CPU."""
        if self.state_reductions is None:
            if not reduces_itself(self):
                _warn_local(self)
            return None
        return {
            name: map_leaves(_state_of, vars(self)[name]) if operation == "metrics" else on_cpu(vars(self)[name])
            for name, operation in self.state_reductions.items()
        }

    def _merged(self, states: list[Any]) -> Metric:
        """Return a copy of this metric with the data of all ranks, which `_rank_state` returned."""
        if self.state_reductions is None:
            return self
        merged = copy(self)
        if "_result" in vars(merged):
            merged._result = None  # type: ignore[attr-defined]  # in which metrics written for Ignite keep their value
        for name, operation in self.state_reductions.items():
            values, present = [state[name] for state in states], vars(self)[name]
            if operation == "metrics":
                setattr(merged, name, _merged_metrics(present, values))
            else:
                setattr(merged, name, on_device_of(present, self.device, reduced(operation, values)))
        return merged

    def attach(self, engine: Engine, name: str, usage: AnyUsage | None = None) -> None:
        """Let `engine` compute this metric and store its value in ``engine.state.metrics[name]``.

        A 0-d tensor becomes a Python number and another tensor is moved to the CPU, for which the host waits for the
        device each time the metric is computed. If the value is a mapping, its items are stored under their own keys,
        too, unless `metrics_result_mode` says otherwise.

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
            TypeError: `usage` has another type, or `engine` is not an engine.
            NotComputableError: during a run, the metric has no data.
        """
        check_engine(self, engine)
        usage = self._usage_of(usage)
        warn_name_taken(engine, name, self)
        for handler, event in self._reset_and_update_handlers(usage):
            if not engine.has_event_handler(handler, event):
                engine.add_event_handler(event, handler)
        engine.add_event_handler(usage.COMPLETED, ComputeHandler(self, usage, name))

    def detach(self, engine: Engine, usage: AnyUsage | None = None) -> None:
        """Undo `attach` with this usage for all names. Do nothing if the metric is not attached with it.

        Handlers that another usage of this metric needs stay attached.
        """
        usage = self._usage_of(usage)
        compute = ComputeHandler(self, usage)
        if not engine.has_event_handler(compute, usage.COMPLETED):
            return
        engine.remove_event_handler(compute, usage.COMPLETED)
        needed = [
            pair for other in compute_handlers(engine) for pair in other.metric._reset_and_update_handlers(other.usage)
        ]
        for handler, event in self._reset_and_update_handlers(usage):
            if (handler, event) not in needed and engine.has_event_handler(handler, event):
                engine.remove_event_handler(handler, event)

    def is_attached(self, engine: Engine, usage: AnyUsage | None = None) -> bool:
        """Return True if the metric is attached to `engine` with this usage."""
        usage = self._usage_of(usage)
        return engine.has_event_handler(ComputeHandler(self, usage), usage.COMPLETED)

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
        load_attributes(self, state_dict)

    def _usage_of(self, usage: AnyUsage | None) -> Usage:
        return usage_of(EpochWise if usage is None else usage)

    def _reset_and_update_handlers(self, usage: Usage) -> EventHandlers:
        """Return the handlers that reset and update this metric."""
        return [(ResetHandler(self), usage.STARTED), (UpdateHandler(self), usage.ITERATION_COMPLETED)]

    def _update_as_part(self, engine: Engine) -> None:
        """Update this metric, which is part of another metric, in an iteration of `engine`."""
        self.iteration_completed(engine)

    def _class_name(self) -> str:
        return type(self).__name__

    def _state_owner(self) -> Metric | None:
        """Return the metric whose state dict an engine saves for this metric."""
        return self


def _state_of(part: Any) -> Any:
    return part._rank_state() if isinstance(part, Metric) else None


def _merged_metrics(present: Any, states: list[Any]) -> Any:
    """Return `present`, a metric or a container of metrics, with copies of the metrics that have all ranks' data."""
    if isinstance(present, Metric):
        return present._merged(states)
    if isinstance(present, Mapping):
        return {key: _merged_metrics(part, [state[key] for state in states]) for key, part in present.items()}
    if isinstance(present, (list, tuple)):
        return type(present)(_merged_metrics(*pair) for pair in zip(present, map(list, zip(*states))))
    return present


def _warn_local(metric: Metric) -> None:
    name = metric._class_name()
    warnings.warn(
        f"{name} does not declare how to join the data of several ranks, so each rank has the value of its own data. "
        f'Declare it in the class: state_reductions = {{"total": "sum"}}, or {{}} for a value that belongs to a rank.',
        stacklevel=3,
    )


def _as_stored(value: Any) -> Any:
    """Return `value` with 0-d tensors as numbers and other tensors on the CPU, also in nested mappings."""
    if isinstance(value, (float, int)):  # first, because checks for Mapping and Tensor take much longer
        return value
    if isinstance(value, Mapping):
        return {key: _as_stored(item) for key, item in value.items()}
    if not isinstance(value, torch.Tensor):
        return value
    return value.cpu() if value.ndim else value.item()
