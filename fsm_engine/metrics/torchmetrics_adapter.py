"""The bridge to torchmetrics: any of its metrics, attached to an engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fsm_engine.metrics import torchmetrics_state
from fsm_engine.metrics.metric import Metric, NotComputableError, OutputTransform, unchanged
from fsm_engine.metrics.usage import AnyUsage, EpochWise

if TYPE_CHECKING:
    import torchmetrics

    from fsm_engine.engine.engine import Engine

    TorchMetric = torchmetrics.Metric | torchmetrics.MetricCollection


def attach(
    metric: TorchMetric,
    engine: Engine,
    name: str,
    usage: AnyUsage = EpochWise,
    output_transform: OutputTransform = unchanged,
) -> None:
    """Let `engine` compute a metric of torchmetrics, as `Metric.attach` does with ours.

    The metric has to be on the device of what it is given. A tuple or list is handed to its ``update`` as
    positional arguments, so (y_pred, y) as (preds, target); a mapping as keyword arguments.

    Args:
        metric: any metric or collection of metrics of torchmetrics.
        engine: the engine whose outputs it is computed from.
        name: the key of the value in ``engine.state.metrics``.
        usage: when it is reset, updated and computed: a usage, or the name of one.
        output_transform: turns ``engine.state.output`` into what the metric is given.

    Raises:
        ValueError: for a name that no usage has; during a run, if a mapping has `name` as a key.
        TypeError: for anything that is no usage, or no metric of torchmetrics.
        NotComputableError: during a run, if there was no data.
    """
    _TorchmetricsAdapter(metric, output_transform).attach(engine, name, usage)


def detach(metric: TorchMetric, engine: Engine, usage: AnyUsage = EpochWise) -> None:
    """Undo `attach` with this usage, under all names; nothing happens if `metric` is not attached."""
    _TorchmetricsAdapter(metric).detach(engine, usage)


def is_attached(metric: TorchMetric, engine: Engine, usage: AnyUsage = EpochWise) -> bool:
    """Say whether `engine` computes `metric` with this usage."""
    return _TorchmetricsAdapter(metric).is_attached(engine, usage)


def as_metric(metric: Metric | TorchMetric) -> Metric:
    """Return `metric` if it is one of ours, and a metric of torchmetrics as one that can be attached.

    Raises:
        TypeError: for anything else.
    """
    return metric if isinstance(metric, Metric) else _TorchmetricsAdapter(metric)


class _TorchmetricsAdapter(Metric):
    """A metric of torchmetrics in the shape of ours; equal to any other of the same one."""

    def __init__(self, metric: TorchMetric, output_transform: OutputTransform = unchanged) -> None:
        _check(metric)
        self.output_transform = output_transform
        self._metric = metric  # as it is: attaching does not reset it

    def reset(self) -> None:
        self._metric.reset()

    def update(self, output: Any) -> None:
        if isinstance(output, Mapping):
            self._metric.update(**output)
        elif isinstance(output, (tuple, list)):
            self._metric.update(*output)
        else:
            self._metric.update(output)

    def compute(self) -> Any:
        if not _may_have_data(self._metric):
            raise NotComputableError(f"{type(self._metric).__name__} was given no data before it was computed.")
        return self._metric.compute()

    def state_dict(self) -> dict[str, Any]:
        return torchmetrics_state.of_torchmetrics(self._metric)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        torchmetrics_state.into_torchmetrics(self._metric, state_dict)

    def _take(self, output: Any) -> None:
        self.update(self.output_transform(output))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _TorchmetricsAdapter) and other._metric is self._metric

    def __hash__(self) -> int:
        return id(self._metric)


def _check(metric: Any) -> None:
    import torchmetrics  # it is there already, if this is one of its metrics

    if not isinstance(metric, (torchmetrics.Metric, torchmetrics.MetricCollection)):
        raise TypeError(
            f"{metric!r} is no metric of torchmetrics. One of fsm_engine.metrics is attached by its own method: "
            f"metric.attach(engine, name)."
        )


def _may_have_data(metric: TorchMetric) -> bool:
    from torchmetrics.wrappers.abstract import WrapperMetric  # these do not count their updates

    parts = torchmetrics_state.parts_of(metric).values()
    return any(part.update_called or isinstance(part, WrapperMetric) for part in parts)
