"""`RunningAverage`: exponential moving average of a metric or of the output of the step."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from fsm_engine import distributed
from fsm_engine._util.identity import identity
from fsm_engine.events.events import Events
from fsm_engine.metrics.independent_copy import independent_copy
from fsm_engine.metrics.metric import (
    Metric,
    NotComputableError,
    OutputTransform,
)
from fsm_engine.metrics.metric_handlers import EventHandlers, MetricHandler
from fsm_engine.metrics.rank_states import Reductions, is_in_iteration, on_cpu, on_device_of, reduced
from fsm_engine.metrics.reduction import local_values
from fsm_engine.metrics.state_dict import check_state_dict, copy_of
from fsm_engine.metrics.usage import AnyUsage, RunningBatchWise, SingleEpochRunningBatchWise, Usage, usage_of

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class RunningAverage(Metric):
    """Exponential moving average over iterations: ``average = alpha * average + (1 - alpha) * value``.

    The first value is the first average. By default the average is computed in every iteration, over the iterations
    of the run so far. Averaging values of the step does not make the host wait for the device, but
    computing a value of `src` does, and so does storing the average in ``engine.state.metrics``. To do both less often,
    attach the metric with
    ``MetricUsage(Events.STARTED, Events.ITERATION_COMPLETED(every=50), Events.ITERATION_COMPLETED)``.

    With several ranks, the value of an iteration is the mean of the values of the ranks. Updates do not communicate,
    but storing the average takes one collective, so store it less often there. If ranks may have different numbers of
    batches, store it once per epoch: ``MetricUsage(Events.EPOCH_STARTED, Events.EPOCH_COMPLETED,
    Events.ITERATION_COMPLETED)``.

    Args:
        src: metric whose values are averaged. Each value is over one iteration, or over one epoch with
            `RunningEpochWise`. The values are computed by a copy of `src`, made when first needed, so `src`
            itself is never changed and may be attached, averaged and used in expressions elsewhere. The copy shares
            functions and modules, such as losses, with `src`. None averages the values that `output_transform` returns.
        alpha: weight of the previous average, above 0 and at most 1.
        output_transform: function from ``engine.state.output`` to a number or tensor; only without `src`.
        epoch_bound: True resets the average at the start of each epoch, False at the start of the run, whatever the
            usage; None leaves that to the usage.
        device: device on which tensors are averaged; only without `src`. None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Raises:
        TypeError: `src` is not a `Metric`, or `output_transform` is not callable.
        ValueError: `alpha` is out of range; `src` is given together with `output_transform` or `device`; neither `src`
            nor `output_transform` is given.

    Example:
        >>> engine = Engine(lambda engine, batch: {"loss": batch})
        >>> RunningAverage(alpha=0.5, output_transform=lambda output: output["loss"]).attach(engine, "loss")
        >>> engine.run([4.0, 8.0]).metrics
        {'loss': 6.0}
    """

    state_reductions: ClassVar[Reductions | None] = {}  # see `_merged`

    def __init__(
        self,
        src: Metric | None = None,
        alpha: float = 0.98,
        output_transform: OutputTransform | None = None,
        epoch_bound: bool | None = None,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        _check_arguments(src, alpha, output_transform, device)
        self.src = src
        self._src_copy: Metric | None = None
        self.alpha = alpha
        self.epoch_bound = epoch_bound
        super().__init__(output_transform or identity, device, skip_unrolling or src is not None)

    def reset(self) -> None:
        """Discard the average."""
        self._value: Any = None
        if self._src_copy is not None:
            self._src_copy.reset()

    def update(self, output: Any) -> None:
        """Average in one value: `output`, or the value that `src` has for `output` alone."""
        source = self._source()
        if source is not None:
            source.reset()
            source.update(output)
            self._average_source(source)
            return
        if not isinstance(output, (float, int)) and isinstance(output, torch.Tensor):  # the second check is slow
            output = output.detach().to(self.device or output.device, copy=True)  # the step may change its own
        self._average(output)

    def iteration_completed(self, engine: Engine) -> None:
        """Average in one value: the output, or the value of `src` since the previous one. See `Metric`."""
        source = self._source()
        if source is None:
            super().iteration_completed(engine)
        elif distributed.get_world_size() == 1 or is_in_iteration(engine):
            self._average_source(source)
        else:
            self._average(source._over_ranks_at(engine, "src of RunningAverage").compute())
            source.reset()

    def _average_source(self, source: Metric) -> None:
        with local_values() if distributed.get_world_size() > 1 else nullcontext():
            self._average(source.compute())
        source.reset()

    def _rank_state(self) -> Any:
        return on_cpu(self._value)

    def _merged(self, states: list[Any]) -> RunningAverage:
        merged = copy(self)
        known = [state for state in states if state is not None]
        merged._value = on_device_of(self._value, self.device, reduced("mean", known)) if known else None
        return merged

    def _average(self, value: Any) -> None:
        self._value = value if self._value is None else self._value * self.alpha + (1.0 - self.alpha) * value

    def _source(self) -> Metric | None:
        """Return the copy of `src` that computes the values; None without `src`."""
        if self._src_copy is None and self.src is not None:
            self._src_copy = independent_copy(self.src)
        return self._src_copy

    def compute(self) -> Any:
        """Return the average, a tensor if the values are tensors.

        Raises:
            NotComputableError: `update` was not called.
        """
        if self._value is None:
            raise NotComputableError("RunningAverage must have at least one value before it can be computed.")
        return self._value

    def state_dict(self) -> dict[str, Any]:
        """Return the average and the state dict of the copy of `src`."""
        source = self._source()
        return {"value": copy_of(self._value), "src": None if source is None else source.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the average and the state of the copy of `src` from a dict that `state_dict` returned.

        Raises:
            TypeError: `state_dict` is not a mapping.
            ValueError: `state_dict` belongs to another metric.
        """
        check_state_dict(self, state_dict, ["value", "src"])
        source = self._source()
        if (state_dict["src"] is None) is not (source is None):
            raise ValueError(
                "Either this RunningAverage has a metric as src or the one that the state dict was saved from, not "
                "both. Load it into a RunningAverage with the same src."
            )
        if source is not None:
            source.load_state_dict(state_dict["src"])
        self._value = copy_of(state_dict["value"])

    def _usage_of(self, usage: AnyUsage | None) -> Usage:
        if self.epoch_bound is None:
            return usage_of(RunningBatchWise if usage is None else usage)
        return SingleEpochRunningBatchWise() if self.epoch_bound else RunningBatchWise()

    def _reset_and_update_handlers(self, usage: Usage) -> EventHandlers:
        reset, update = super()._reset_and_update_handlers(usage)
        update_src = (_UpdateSourceHandler(self), Events.ITERATION_COMPLETED)
        return [reset, update] if self.src is None else [reset, update_src, update]

    def _update_source(self, engine: Engine) -> None:
        source = self._source()
        if source is not None:
            source._update_as_part(engine)

    def _update_as_part(self, engine: Engine) -> None:
        self._update_source(engine)
        self.iteration_completed(engine)


@dataclass(frozen=True, eq=False)
class _UpdateSourceHandler(MetricHandler):
    """Updates the copy of `src` from the output of the step; the state of the average includes the copy."""

    metric: RunningAverage
    _method = "_update_source"

    def __call__(self, engine: Engine) -> None:
        self.metric._update_source(engine)


def _check_arguments(src: Any, alpha: float, output_transform: Any, device: Any) -> None:
    if not (src is None or isinstance(src, Metric)):
        raise TypeError(
            f"Argument src should be a Metric or None, but is {src!r}. Convert a metric of torchmetrics with "
            f"fsm_engine.metrics.as_metric(metric)."
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
