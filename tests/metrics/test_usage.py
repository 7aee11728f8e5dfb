"""Usages with filters and with any events."""

from __future__ import annotations

import pytest
from simple_metrics import Last, echo

from fsm_engine import Engine, Events
from fsm_engine.metrics import (
    BatchFiltered,
    EpochWise,
    MetricUsage,
    RunningAverage,
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
