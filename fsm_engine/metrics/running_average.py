"""`RunningAverage`: of a metric, or of what the step returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine.events.events import Events
from fsm_engine.metrics.metric import (
    Feeding,
    Metric,
    Moment,
    NotComputableError,
    OutputTransform,
    check_state_dict,
    unchanged,
)
from fsm_engine.metrics.torchmetrics_state import plain
from fsm_engine.metrics.usage import AnyUsage, RunningBatchWise, SingleEpochRunningBatchWise, Usage, usage_of

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class RunningAverage(Metric):
    """The exponential moving average over iterations: each weighs `alpha` times what the next one does.

    ``RunningAverage(output_transform=lambda output: output["loss"]).attach(trainer, "loss")``

    An update lets the device work and does not wait for it; that happens when the value goes to the state, which is
    in every iteration unless the usage says otherwise:
    ``MetricUsage(Events.STARTED, Events.ITERATION_COMPLETED(every=50), Events.ITERATION_COMPLETED)``.

    Args:
        src: a metric, of which the values since the last update are averaged, so those of single iterations or, with
            `RunningEpochWise`, of epochs; attach it nowhere else. None averages what `output_transform` gives.
        alpha: how much of the average remains in an iteration.
        output_transform: turns ``engine.state.output`` into a number or a tensor, unless there is a metric.
        epoch_bound: True starts anew in each epoch and False in each run, whatever the usage; None leaves it to that.
        device: where it computes; None means where the data is.

    Raises:
        TypeError: for a `src` that is no metric.
        ValueError: for an `alpha` that is not above 0 and at most 1; for a metric with `output_transform` or
            `device`; for neither a metric nor an `output_transform`.
    """

    def __init__(
        self,
        src: Metric | None = None,
        alpha: float = 0.98,
        output_transform: OutputTransform | None = None,
        epoch_bound: bool | None = None,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        _check(src, alpha, output_transform, device)
        self.src: Metric | None = None
        self.alpha = alpha
        self.epoch_bound = epoch_bound
        super().__init__(output_transform or unchanged, device, skip_unrolling or src is not None)
        self.src = src  # now, so that it was not reset

    def reset(self) -> None:
        """Forget the average, and reset the metric."""
        self._value: Any = None
        if self.src is not None:
            self.src.reset()

    def update(self, output: Any) -> None:
        """Add one value: `output`, or without looking at it that of the metric, which is reset."""
        if self.src is not None:
            output = self._taken(self.src)
        elif not isinstance(output, (float, int)):  # the question whether it is a tensor takes much longer
            output = _copied(output, self.device)
        self._value = output if self._value is None else self._value * self.alpha + (1.0 - self.alpha) * output

    def _taken(self, src: Metric) -> Any:
        value = src.compute()
        src.reset()
        return value

    def compute(self) -> Any:
        """Return the average, a tensor if the values are.

        Raises:
            NotComputableError: if there was no value.
        """
        if self._value is None:
            raise NotComputableError("RunningAverage must have at least one value before it can be computed.")
        return self._value

    def attach(self, engine: Engine, name: str, usage: AnyUsage = RunningBatchWise) -> None:
        """Let `engine` compute it in every iteration, as `Metric.attach` does."""
        super().attach(engine, name, self._bound(usage))

    def detach(self, engine: Engine, usage: AnyUsage = RunningBatchWise) -> None:
        """Undo `attach` with this usage, under all names; nothing happens if it is not attached."""
        super().detach(engine, self._bound(usage))

    def is_attached(self, engine: Engine, usage: AnyUsage = RunningBatchWise) -> bool:
        """Say whether `engine` computes it with this usage."""
        return super().is_attached(engine, self._bound(usage))

    def state_dict(self) -> dict[str, Any]:
        """Return the average, and what the metric has accumulated since."""
        return {"value": plain(self._value), "src": None if self.src is None else self.src.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            TypeError: if it is no mapping.
            ValueError: if it was that of another metric.
        """
        check_state_dict(self, state_dict, ["value", "src"])
        if (state_dict["src"] is None) is not (self.src is None):
            raise ValueError("the state dictionary is of a RunningAverage of a metric, or this is one, but not both.")
        if self.src is not None:
            self.src.load_state_dict(state_dict["src"])
        self._value = plain(state_dict["value"])

    def _bound(self, usage: AnyUsage) -> Usage:
        if self.epoch_bound is None:
            return usage_of(usage)
        return SingleEpochRunningBatchWise() if self.epoch_bound else RunningBatchWise()

    def _feeding(self, usage: Usage) -> Feeding:
        reset, update = super()._feeding(usage)
        return [reset, update] if self.src is None else [reset, (_Feed(self), Events.ITERATION_COMPLETED), update]


@dataclass(frozen=True)
class _Feed(Moment):
    """Gives the metric inside what comes from the step; the average is that metric's owner, and saves it."""

    metric: RunningAverage

    def __call__(self, engine: Engine) -> None:
        src = self.metric.src
        assert src is not None
        src._take(engine.state.output)


def _check(src: Any, alpha: float, output_transform: Any, device: Any) -> None:
    if not (src is None or isinstance(src, Metric)):
        raise TypeError(
            f"Argument src should be a Metric or None, but is {src!r}. One of torchmetrics becomes a Metric by "
            f"fsm_engine.metrics.as_metric."
        )
    if not 0.0 < alpha <= 1.0:
        raise ValueError(f"Argument alpha should be a float between 0.0 and 1.0, but is {alpha!r}.")
    if src is None and output_transform is None:
        raise ValueError(
            "Argument output_transform should not be None if src corresponds to the output of process function. "
            "Give a metric as src, or a function as output_transform."
        )
    if src is not None and output_transform is not None:
        raise ValueError("Argument output_transform should be None if src is a Metric, which has its own.")
    if src is not None and device is not None:
        raise ValueError("Argument device should be None if src is a Metric, which has its own.")


def _copied(value: Any, device: str | torch.device | None) -> Any:
    if isinstance(value, torch.Tensor):  # a copy, because the step may change its own
        return value.detach().to(device or value.device, copy=True)
    return value
