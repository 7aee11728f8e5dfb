"""Usages with filters and with any events, and names that are attached twice."""

from __future__ import annotations

import pytest
import torchmetrics
from simple_metrics import Last, echo

from fsm_engine import Engine, Events
from fsm_engine.metrics import (
    BatchFiltered,
    EpochWise,
    Frequency,
    MetricUsage,
    RunningAverage,
    as_metric,
    attach,
)


def test_batch_filtered_usage_updates_only_in_filtered_iterations():
    engine, metric = Engine(echo), Last()
    metric.attach(engine, "last", BatchFiltered(every=2))
    assert (engine.run([1, 2, 3], max_epochs=2).metrics, metric.updates) == ({"last": 3}, 2)
    assert metric.is_attached(engine, BatchFiltered(every=2))
    assert not metric.is_attached(engine, BatchFiltered(every=3))
    assert not metric.is_attached(engine, EpochWise)
    metric.detach(engine, BatchFiltered(every=2))
    assert not engine.handlers()


def test_metric_usage_accepts_any_events():
    engine, seen = Engine(echo), []
    rarely = MetricUsage(Events.STARTED, Events.ITERATION_COMPLETED(every=3), Events.ITERATION_COMPLETED)
    RunningAverage(alpha=0.5, output_transform=float).attach(engine, "average", rarely)
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: seen.append(engine.state.metrics.get("average")))
    engine.run([4, 8, 0, 9])
    assert seen == [None, None, 3, 3]


@pytest.mark.parametrize("usage", [BatchFiltered, MetricUsage])
def test_usage_class_that_needs_arguments_raises_type_error(usage):
    with pytest.raises(TypeError, match=rf"the class {usage.__name__}, which needs arguments: {usage.__name__}\("):
        Last().attach(Engine(echo), "last", usage)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (Last, "Last"),
        (lambda: Last() + 1, "MetricsLambda"),
        (lambda: RunningAverage(alpha=0.5, output_transform=float), "RunningAverage"),
        (Frequency, "Frequency"),
        (lambda: as_metric(torchmetrics.SumMetric()), "SumMetric"),
    ],
)
def test_attaching_another_metric_under_a_name_in_use_warns(make, name):
    engine, first = Engine(echo), make()
    first.attach(engine, "value")
    with pytest.warns(UserWarning, match=rf"^The metrics {name} and Last .* under the name 'value'.*detach") as caught:
        Last().attach(engine, "value")
    with pytest.warns(UserWarning, match=rf"^The metrics {name} and SumMetric .* 'value_2'"):
        attach(torchmetrics.SumMetric(), engine, "value", "batch_wise")
    assert len(caught) == 1


def test_metric_may_be_attached_again_and_its_name_is_free_after_detach():
    engine, other, metric, summed = Engine(echo), Engine(echo), Last(), torchmetrics.SumMetric()
    metric.attach(engine, "value")
    metric.attach(engine, "value")
    metric.attach(engine, "value", "batch_wise")
    metric.attach(engine, "same value")
    Last().attach(engine, "other value")
    Last().attach(other, "value")
    attach(summed, engine, "sum")
    attach(summed, engine, "sum")
    metric.detach(engine)
    metric.detach(engine, "batch_wise")
    Last().attach(engine, "value")
    assert engine.run([1, 2]).metrics == {"value": 2, "other value": 2, "sum": 3}
