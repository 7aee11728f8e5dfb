"""`MetricsLambda`: a function of the values of metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine.metrics.metric import Feeding, Metric, check_state_dict
from fsm_engine.metrics.usage import AnyUsage, EpochWise, Usage

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class MetricsLambda(Metric):
    """What a function makes of the values of metrics; arithmetic on metrics makes these.

    Attached, it lets the engine reset and update the metrics it depends on, each once, however often it occurs and
    wherever else it is attached with the same usage.

    Args:
        f: called with the values in the place of the metrics, tensors on the CPU.
        *args: given to `f`: metrics, or anything else as it is.
        **kwargs: the same by name.
    """

    def __init__(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.function = f
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}
        self._attached = False
        super().__init__()  # resets nothing, because it depends on nothing yet
        self.args, self.kwargs = args, kwargs

    def reset(self) -> None:
        """Reset the metrics it depends on."""
        for metric in self._leaves():
            metric.reset()
        self._updated = False

    def update(self, output: Any) -> None:
        """Update the metrics it depends on, without their `output_transform`.

        Raises:
            ValueError: while it is attached to an engine, which updates them.
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
        """Return what the function makes of the values.

        Raises:
            NotComputableError: if one of the metrics was given no data.
        """
        args = [_value_of(arg) for arg in self.args]
        return self.function(*args, **{name: _value_of(arg) for name, arg in self.kwargs.items()})

    def attach(self, engine: Engine, name: str, usage: AnyUsage = EpochWise) -> None:
        """Let `engine` compute it, as `Metric.attach` does.

        Raises:
            ValueError: if it was updated by hand since it was reset; see also `Metric.attach`.
            TypeError: for anything that is no usage.
        """
        if self._updated:
            raise ValueError(
                "The underlying metrics are already updated, can't attach while using reset/update/compute API. "
                "Call reset() first."
            )
        super().attach(engine, name, usage)
        self._attached = True

    def detach(self, engine: Engine, usage: AnyUsage = EpochWise) -> None:
        """Undo `attach` with this usage; metrics that nothing else needs are no longer updated."""
        super().detach(engine, usage)
        self._attached = False

    def state_dict(self) -> dict[str, Any]:
        """Return what the metrics it depends on have accumulated, each once, in the order of their occurrence."""
        return {"metrics": [metric.state_dict() for metric in self._leaves()]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Let the metrics it depends on go on from what `state_dict` returned.

        Raises:
            TypeError: if it is no mapping.
            ValueError: if it was that of another formula.
        """
        check_state_dict(self, state_dict, ["metrics"])
        leaves = self._leaves()
        if len(leaves) != len(state_dict["metrics"]):
            raise ValueError(
                f"the state dictionary has {len(state_dict['metrics'])} metrics, but this formula depends on "
                f"{len(leaves)}: {', '.join(type(metric).__name__ for metric in leaves)}."
            )
        for metric, given in zip(leaves, state_dict["metrics"]):
            metric.load_state_dict(given)

    def _leaves(self) -> list[Metric]:
        return list(dict.fromkeys(self._occurring()))

    def _occurring(self) -> Iterator[Metric]:
        for arg in (*self.args, *self.kwargs.values()):
            if isinstance(arg, MetricsLambda):
                yield from arg._occurring()
            elif isinstance(arg, Metric):
                yield arg

    def _feeding(self, usage: Usage) -> Feeding:
        return [pair for metric in self._leaves() for pair in metric._feeding(usage)]

    def _take(self, output: Any) -> None:
        for metric in self._leaves():
            metric._take(output)

    def _keeper(self) -> None:
        """The metrics it depends on are attached themselves, and saved as such."""


def _value_of(arg: Any) -> Any:
    value = arg.compute() if isinstance(arg, Metric) else arg
    return value.cpu() if isinstance(value, torch.Tensor) else value
