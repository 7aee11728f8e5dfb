"""`attach` and `as_metric`: metrics of torchmetrics, computed by an engine."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fsm_engine import distributed
from fsm_engine._util.identity import identity
from fsm_engine.metrics import torchmetrics_state
from fsm_engine.metrics.metric import Metric, NotComputableError, OutputTransform
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
    output_transform: OutputTransform = identity,
) -> None:
    """Let `engine` compute a metric of torchmetrics and store its value in ``engine.state.metrics[name]``.

    The metric's ``update`` gets the output of the step: a tuple or list as positional arguments, so (y_pred, y) as
    (preds, target); a mapping as keyword arguments; anything else as one argument. Move the metric to the device of
    these arguments first. Attaching does not reset it; the usage does. See `Metric.attach` for the values
    and for names in use.

    Args:
        metric: metric or metric collection of torchmetrics.
        engine: engine that computes the metric from ``engine.state.output``.
        name: key of the value in ``engine.state.metrics``.
        usage: events at which the engine resets, updates and computes the metric: a `Usage`, its class, or its name.
        output_transform: function from ``engine.state.output`` to the arguments of ``update``.

    Raises:
        ValueError: no usage has this name. During a run: the value is a mapping that has `name` as a key.
        TypeError: `usage` is not a usage, or `metric` is not a metric of torchmetrics.
        NotComputableError: during a run, the metric has no data.

    Example:
        >>> engine = Engine(lambda engine, batch: batch)
        >>> attach(torchmetrics.SumMetric(), engine, "sum")
        >>> engine.run([1.0, 2.0]).metrics
        {'sum': 3.0}
    """
    _TorchmetricsAdapter(metric, output_transform).attach(engine, name, usage)


def detach(metric: TorchMetric, engine: Engine, usage: AnyUsage = EpochWise) -> None:
    """Undo `attach` with this usage for all names. Do nothing if `metric` is not attached with it.

    Example:
        >>> trainer, metric = Engine(lambda engine, batch: torch.tensor(batch)), torchmetrics.MeanMetric()
        >>> _ = attach(metric, trainer, "mean")
        >>> detach(metric, trainer)
        >>> is_attached(metric, trainer)
        False
    """
    _TorchmetricsAdapter(metric).detach(engine, usage)


def is_attached(metric: TorchMetric, engine: Engine, usage: AnyUsage = EpochWise) -> bool:
    """Return True if `metric` is attached to `engine` with this usage.

    Example:
        >>> trainer, metric = Engine(lambda engine, batch: torch.tensor(batch)), torchmetrics.MeanMetric()
        >>> _ = attach(metric, trainer, "mean")
        >>> is_attached(metric, trainer)
        True
    """
    return _TorchmetricsAdapter(metric).is_attached(engine, usage)


def as_metric(metric: Metric | TorchMetric) -> Metric:
    """Return `metric` as a `Metric`; a `Metric` is returned unchanged.

    As a `Metric`, a metric of torchmetrics can be attached by its own method, averaged by `RunningAverage`, and used in
    expressions such as ``as_metric(a) / as_metric(b)``.

    Raises:
        TypeError: `metric` is neither a `Metric` nor a metric of torchmetrics.

    Example:
        >>> total, largest = torchmetrics.SumMetric(), torchmetrics.MaxMetric()
        >>> share = as_metric(largest) / as_metric(total)
        >>> trainer = Engine(lambda engine, batch: torch.tensor(batch))
        >>> share.attach(trainer, "share")
        >>> trainer.run([1.0, 3.0]).metrics["share"]
        0.75
    """
    return metric if isinstance(metric, Metric) else _TorchmetricsAdapter(metric)


class _TorchmetricsAdapter(Metric):
    """Adapter from a metric of torchmetrics to `Metric`; equal to other adapters of the same metric."""

    def __init__(self, metric: TorchMetric, output_transform: OutputTransform = identity) -> None:
        _check_type(metric)
        self.output_transform = output_transform
        self._metric = metric  # not reset, unlike in Metric.__init__

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
        if distributed.get_world_size() == 1:
            return self._metric.compute()
        with torchmetrics_state.own_rank(self._metric):
            return self._metric.compute()

    def _rank_state(self) -> dict[str, Any]:
        return torchmetrics_state.rank_state(self._metric)

    def _merged(self, states: list[Any]) -> Metric:
        return _WithAllData(self._metric, torchmetrics_state.merged_states(self._metric, states))

    def state_dict(self) -> dict[str, Any]:
        return torchmetrics_state.state_of(self._metric)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        torchmetrics_state.load_state(self._metric, state_dict)

    def iteration_completed(self, engine: Engine) -> None:
        self.update(self.output_transform(engine.state.output))

    def _class_name(self) -> str:
        return type(self._metric).__name__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _TorchmetricsAdapter) and other._metric is self._metric

    def __hash__(self) -> int:
        return id(self._metric)


class _WithAllData(_TorchmetricsAdapter):
    """Adapter that gives the metric the data of all ranks while it is computed; some metrics keep such values."""

    def __init__(self, metric: TorchMetric, states: Mapping[str, Any]) -> None:
        super().__init__(metric)
        self._states = states

    def compute(self) -> Any:
        with torchmetrics_state.replaced_states(self._metric, self._states):
            return super().compute()


def _check_type(metric: Any) -> None:
    torchmetrics = sys.modules.get("torchmetrics")  # already imported, if `metric` is one of its metrics
    if torchmetrics is not None and isinstance(metric, (torchmetrics.Metric, torchmetrics.MetricCollection)):
        return
    if isinstance(metric, type):
        raise TypeError(f"{metric.__name__} is a class. Give a metric, which is an object of it: {metric.__name__}().")
    if isinstance(metric, Metric):
        raise TypeError(
            f"{metric!r} is not a metric of torchmetrics. Attach a metric of fsm_engine.metrics with its "
            f"own method: metric.attach(engine, name)."
        )
    raise TypeError(f"{metric!r} is not a metric. Give a metric of fsm_engine.metrics or torchmetrics.")


def _may_have_data(metric: TorchMetric) -> bool:
    from torchmetrics.wrappers.abstract import WrapperMetric  # these do not count their updates

    parts = torchmetrics_state.submetrics_of(metric).values()
    return any(part.update_called or isinstance(part, WrapperMetric) for part in parts)
