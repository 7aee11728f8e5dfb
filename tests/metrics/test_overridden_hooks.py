"""Metrics that override `started`, `iteration_completed` or `completed`, as metrics for pytorch-ignite do."""

from __future__ import annotations

from typing import Any

import ignite.engine
import ignite.metrics
import pytest
from simple_metrics import echo

import fsm_engine
from fsm_engine import Engine, metrics
from fsm_engine.metrics import BatchWise, EpochWise, Metric, RunningAverage


def subclass_of(base: Any) -> Any:
    """Return a metric class of one of the libraries; it notes its calls and doubles the outputs and the value."""

    class Hooked(base):
        def __init__(self) -> None:
            self.calls: list[Any] = []
            super().__init__()

        def reset(self) -> None:
            self.sum = 0

        def update(self, output: Any) -> None:
            self.sum += output

        def compute(self) -> Any:
            return self.sum

        def started(self, engine: Any) -> None:
            self.calls.append("started")
            super().started(engine)

        def iteration_completed(self, engine: Any) -> None:
            self.calls.append(engine.state.iteration)
            self.update(2 * engine.state.output)

        def completed(self, engine: Any, name: str) -> None:
            self.calls.append(name)
            engine.state.metrics[name] = 2 * self.compute()

    return Hooked()


@pytest.mark.parametrize("usage", ["epoch_wise", "batch_wise"])
def test_engine_calls_the_overrides_as_ignite_does(usage):
    ours, theirs = subclass_of(Metric), subclass_of(ignite.metrics.Metric)
    results = []
    for metric, engine in ((ours, Engine(echo)), (theirs, ignite.engine.Engine(echo))):
        metric.attach(engine, "sum", usage)
        engine.run([1, 2], max_epochs=2)
        results.append((metric.calls, dict(engine.state.metrics)))
        metric.detach(engine, usage)
        engine.run([1, 2], max_epochs=3)
        assert metric.calls == results[-1][0]
    assert results[0] == results[1]
    assert results[0][1] == {"sum": 12 if usage == "epoch_wise" else 8}


def test_formula_calls_the_overrides_of_its_metrics():
    metric, engine = subclass_of(Metric), Engine(echo)
    (metric + metric).attach(engine, "twice", EpochWise)
    assert engine.run([1, 2]).metrics == {"twice": 12}
    assert metric.calls == ["started", 1, 2]


@pytest.mark.parametrize("formula", [False, True])
def test_running_average_calls_the_update_override_of_its_source(formula):
    metric, engine = subclass_of(Metric), Engine(echo)
    RunningAverage(metric + 0 if formula else metric, alpha=0.5).attach(engine, "average")
    assert engine.run([1, 3]).metrics == {"average": 4}


@pytest.mark.parametrize("library", [metrics, ignite.metrics], ids=["fsm_engine", "ignite"])
def test_override_of_completed_in_a_running_average_is_called(library):
    class Named(library.RunningAverage):
        def completed(self, engine: Any, name: str) -> None:
            engine.state.metrics[name] = f"average {self.compute()}"

    engine = (fsm_engine if library is metrics else ignite.engine).Engine(echo)
    Named(alpha=0.5, output_transform=float).attach(engine, "average")
    assert engine.run([1, 3]).metrics == {"average": "average 2.0"}


def test_hooks_can_be_attached_by_hand():
    metric, engine = subclass_of(Metric), Engine(echo)
    usage = BatchWise()
    engine.add_event_handler(usage.STARTED, metric.started)
    engine.add_event_handler(usage.ITERATION_COMPLETED, metric.iteration_completed)
    engine.add_event_handler(usage.COMPLETED, metric.completed, "sum")
    assert engine.run([1, 2]).metrics == {"sum": 8}
