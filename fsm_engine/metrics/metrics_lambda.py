"""`MetricsLambda`: function of the values of metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine.metrics.metric import Metric
from fsm_engine.metrics.metric_handlers import EventHandlers
from fsm_engine.metrics.operators import TensorMethods
from fsm_engine.metrics.state_dict import check_state_dict
from fsm_engine.metrics.usage import AnyUsage, Usage

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class MetricsLambda(Metric, TensorMethods):
    """Value of a function of the values of other metrics; arithmetic on metrics makes such metrics.

    When it is attached, the engine resets and updates each metric that the function depends on once per event, even if
    that metric occurs several times or is attached by itself with the same usage.

    Args:
        f: called with `args` and `kwargs`, in which metrics are replaced by their values, tensors moved to the CPU.
        *args: positional arguments of `f`: metrics, or anything else.
        metrics_result_mode: as for `Metric`.
        **kwargs: keyword arguments of `f`: metrics, or anything else.

    Example:
        >>> share = MetricsLambda(lambda value, total: value / total, Accuracy(), total=2)
        >>> share.update((torch.tensor([1, 1]), torch.tensor([1, 1])))
        >>> share.compute()
        0.5
    """

    def __init__(self, f: Callable[..., Any], *args: Any, metrics_result_mode: str = "both", **kwargs: Any) -> None:
        self.function = f
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}
        self._attached = False
        # Before the arguments are set, so that it does not reset them
        super().__init__(metrics_result_mode=metrics_result_mode)
        self.args, self.kwargs = args, kwargs

    def reset(self) -> None:
        """Reset the metrics that the function depends on."""
        for metric in self._leaves():
            metric.reset()
        self._updated = False

    def update(self, output: Any) -> None:
        """Update the metrics that the function depends on with `output`, without their `output_transform`.

        Raises:
            ValueError: the metric is attached to an engine, which updates those metrics.
        """
        if self._attached:
            raise ValueError(
                "MetricsLambda is already attached to an engine, and MetricsLambda can't use update API while it's "
                "attached."
            )
        for metric in self._leaves():
            metric.update(output)
        self._updated = True

    def compute(self) -> Any:
        """Return the value of the function.

        Raises:
            NotComputableError: one of the metrics has no data.
        """
        args = [_value_of(arg) for arg in self.args]
        return self.function(*args, **{name: _value_of(arg) for name, arg in self.kwargs.items()})

    def started(self, engine: Engine) -> None:
        """Call `started` of the metrics that the function depends on."""
        for metric in self._leaves():
            metric.started(engine)

    def iteration_completed(self, engine: Engine) -> None:
        """Call `iteration_completed` of the metrics that the function depends on."""
        for metric in self._leaves():
            metric._update_as_part(engine)

    def attach(self, engine: Engine, name: str, usage: AnyUsage | None = None) -> None:
        """Let `engine` compute this metric; see `Metric.attach`.

        Raises:
            ValueError: `update` was called since the last `reset`. See `Metric.attach` for others.
            TypeError: `usage` is not a usage.
        """
        if self._updated:
            raise ValueError(
                "The underlying metrics are already updated, can't attach while using reset/update/compute API. "
                "Call reset() first."
            )
        super().attach(engine, name, usage)
        self._attached = True

    def detach(self, engine: Engine, usage: AnyUsage | None = None) -> None:
        """Undo `attach` with this usage. Metrics that no other attached metric needs are no longer updated."""
        super().detach(engine, usage)
        self._attached = False

    def state_dict(self) -> dict[str, Any]:
        """Return the state dicts of the metrics that the function depends on, each once, in order of occurrence."""
        return {"metrics": [metric.state_dict() for metric in self._leaves()]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the states of the metrics that the function depends on.

        Raises:
            TypeError: `state_dict` is not a mapping.
            ValueError: `state_dict` belongs to another metric.
        """
        check_state_dict(self, state_dict, ["metrics"])
        leaves = self._leaves()
        if len(leaves) != len(state_dict["metrics"]):
            raise ValueError(
                f"The state dict has {len(state_dict['metrics'])} metrics, but this MetricsLambda depends on "
                f"{len(leaves)}: {', '.join(type(metric).__name__ for metric in leaves)}."
            )
        for metric, given in zip(leaves, state_dict["metrics"]):
            metric.load_state_dict(given)

    def _rank_state(self) -> list[Any]:
        return [metric._rank_state() for metric in self._leaves()]

    def _merged(self, states: list[Any]) -> Metric:
        leaves = self._leaves()
        return self._with_leaves({id(leaf): leaf._merged(list(own)) for leaf, own in zip(leaves, zip(*states))})

    def _with_leaves(self, leaves: Mapping[int, Metric]) -> MetricsLambda:
        """Return a copy that depends on other metrics, given by the `id` of the metrics that they replace."""

        def replaced(arg: Any) -> Any:
            return arg._with_leaves(leaves) if isinstance(arg, MetricsLambda) else leaves.get(id(arg), arg)

        changed = copy(self)
        changed.args = tuple(map(replaced, self.args))
        changed.kwargs = {name: replaced(arg) for name, arg in self.kwargs.items()}
        return changed

    def _leaves(self) -> list[Metric]:
        """Return the metrics that the function depends on, also through nested functions, each once."""
        return list(dict.fromkeys(self._occurrences()))

    def _occurrences(self) -> Iterator[Metric]:
        for arg in (*self.args, *self.kwargs.values()):
            if isinstance(arg, MetricsLambda):
                yield from arg._occurrences()
            elif isinstance(arg, Metric):
                yield arg

    def _reset_and_update_handlers(self, usage: Usage) -> EventHandlers:
        return [pair for metric in self._leaves() for pair in metric._reset_and_update_handlers(usage)]

    def _state_owner(self) -> None:
        """Return None: the leaves are attached themselves, and an engine saves their states."""


def _value_of(arg: Any) -> Any:
    value = arg.compute() if isinstance(arg, Metric) else arg
    return value.cpu() if isinstance(value, torch.Tensor) else value
