"""`RunningAverage` of outputs and of metrics."""

from __future__ import annotations

import pytest
import torch
from simple_metrics import Last, echo

from fsm_engine import Engine, Events
from fsm_engine.metrics import (
    NotComputableError,
    RunningAverage,
)


def test_running_average_of_a_metric_averages_the_values_of_single_iterations():
    engine, seen = Engine(echo), []
    RunningAverage(Last(), alpha=0.5).attach(engine, "average")
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: seen.append(engine.state.metrics["average"]))
    engine.run([4.0, 8.0, 0.0])
    assert seen == [4, 6, 3]


def test_running_average_copies_and_detaches_the_tensor_of_the_step():
    average, output = RunningAverage(output_transform=lambda x: x), torch.tensor(2.0, requires_grad=True)
    average.update(output)
    with torch.no_grad():
        output += 1
    assert (average.compute().item(), average.compute().requires_grad) == (2, False)


def test_running_average_without_a_value_raises():
    with pytest.raises(NotComputableError, match="RunningAverage must have at least one value"):
        RunningAverage(output_transform=float).compute()
