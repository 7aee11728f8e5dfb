"""Expressions of metrics: operators, items, tensor methods and `MetricsLambda`."""

from __future__ import annotations

import copy
import operator
import pickle

import numpy as np
import pytest
import torch
import torchmetrics
from simple_metrics import Last, echo, last

from fsm_engine import Engine
from fsm_engine.metrics import (
    Fbeta,
    MetricsLambda,
    NotComputableError,
    Precision,
    Recall,
    as_metric,
)

TENSOR = torch.tensor([3.0, 5.0])


@pytest.mark.parametrize("operation", ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"])
@pytest.mark.parametrize("other", [2, 0.5, TENSOR, np.float64(2), "metric"], ids=str)
def test_operators_compute_with_the_value_of_a_metric_on_either_side(operation, other):
    function, mine, value = getattr(operator, operation), last(7.0), 2.0 if isinstance(other, str) else other
    given = last(2.0) if isinstance(other, str) else other
    for formula, expected in (
        (function(mine, given), function(7.0, value)),
        (function(given, mine), function(value, 7.0)),
    ):
        assert isinstance(formula, MetricsLambda)
        assert torch.equal(torch.as_tensor(formula.compute()), torch.as_tensor(expected))


def test_items_and_tensor_methods_apply_to_the_value():
    mine = last(torch.tensor([[1.0, 2.0], [3.0, 5.0]]))
    assert (-mine)[1][0].compute().item() == -3
    assert mine[:, 1].mean().item().compute() == 3.5
    assert mine.sum(dim=0).tolist().compute() == [4, 7]
    assert mine.mul(last(2)).sum().item().compute() == 22


def test_method_that_tensors_do_not_have_raises_attribute_error():
    with pytest.raises(AttributeError, match=r"^'Last' object has no attribute 'avarage', nor have tensors\.$"):
        last(1).avarage()
    with pytest.raises(AttributeError, match="Metric result of type <class 'float'> has no attribute 'mean'"):
        last(1.0).mean().compute()
    assert not hasattr(last(1), "shape")


def test_metric_is_not_iterable():
    with pytest.raises(TypeError, match="not iterable"):
        list(last([1, 2]))


def test_function_gets_values_in_place_of_metrics():
    formula = MetricsLambda(lambda *args, **kwargs: (args, kwargs), last(1), 2, three=last(3), four=4)
    assert formula.compute() == ((1, 2), {"three": 3, "four": 4})


def test_expression_resets_and_updates_each_metric_once():
    one, other = Last(), Last()
    formula = (one + other) / (one - 2 * other + 1)
    formula.update(3)
    assert ([one.updates, other.updates], formula.compute()) == ([1, 1], -3)
    formula.reset()
    assert [one.value, other.value] == [None, None]


def test_attached_expression_refuses_update():
    formula, engine = Last() + 1, Engine(echo)
    formula.attach(engine, "sum")
    with pytest.raises(ValueError, match="MetricsLambda is already attached to an engine"):
        formula.update(3)
    formula.detach(engine)
    formula.update(3)
    with pytest.raises(ValueError, match="The underlying metrics are already updated"):
        formula.attach(engine, "sum")
    formula.reset()
    formula.attach(engine, "sum")
    assert engine.run([1, 2]).metrics == {"sum": 3}


def test_metrics_are_updated_while_an_attached_metric_needs_them():
    engine, one, other = Engine(echo), Last(), Last()
    formula = one * other
    one.attach(engine, "one")
    formula.attach(engine, "product")
    one.detach(engine)
    assert engine.run([1, 2]).metrics == {"product": 4}
    one.attach(engine, "one")
    formula.detach(engine)
    engine.state.metrics.clear()
    updates = other.updates
    assert (engine.run([3]).metrics, other.updates) == ({"one": 3}, updates)
    one.detach(engine)
    assert not engine.handlers()


def test_expressions_can_be_pickled_and_copied():
    formula = (2 * Precision() * Recall() / (Precision() + Recall())).mean() + Fbeta(1)
    batch = (torch.eye(3), torch.tensor([0, 1, 2]))
    for twin in (pickle.loads(pickle.dumps(formula)), copy.deepcopy(formula)):
        twin.update(batch)
        assert twin.compute() == pytest.approx(2)
    with pytest.raises(NotComputableError):
        formula.compute()


def test_torchmetrics_metrics_work_in_expressions():
    engine = Engine(echo)
    (as_metric(torchmetrics.SumMetric()) / as_metric(torchmetrics.MaxMetric())).attach(engine, "ratio")
    assert engine.run([1.0, 2.0, 4.0]).metrics == {"ratio": 1.75}
