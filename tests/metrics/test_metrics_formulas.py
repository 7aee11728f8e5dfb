"""Formulas of metrics, running averages, usages with filters, and what a saved metric goes on from."""

from __future__ import annotations

import copy
import gc
import io
import operator
import pickle
import re
import weakref
from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score, MulticlassRecall

from fsm_engine import Engine, Events, metrics
from fsm_engine.metrics import (
    Accuracy,
    BatchFiltered,
    ConfusionMatrix,
    EpochMetric,
    EpochWise,
    Fbeta,
    Frequency,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
    MetricsLambda,
    MetricUsage,
    NotComputableError,
    Precision,
    Recall,
    RunningAverage,
    RunningBatchWise,
    TopKCategoricalAccuracy,
    as_metric,
)
from fsm_engine.persistence.handler_state import states_of_handlers


class Last(Metric):
    """Has the value that it was given last."""

    def reset(self) -> None:
        self.value: Any = None
        self.updates = 0

    def update(self, output: Any) -> None:
        self.value = output
        self.updates += 1

    def compute(self) -> Any:
        return self.value


def valued(value: Any) -> Last:
    metric = Last()
    metric.update(value)
    return metric


def echo(engine, batch):
    return batch


# Formulas

TENSOR = torch.tensor([3.0, 5.0])


@pytest.mark.parametrize("operation", ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"])
@pytest.mark.parametrize("other", [2, 0.5, TENSOR, np.float64(2), "metric"], ids=str)
def test_a_metric_in_a_formula_stands_for_its_value_on_either_side(operation, other):
    function, mine, value = getattr(operator, operation), valued(7.0), 2.0 if isinstance(other, str) else other
    given = valued(2.0) if isinstance(other, str) else other
    for formula, expected in (
        (function(mine, given), function(7.0, value)),
        (function(given, mine), function(value, 7.0)),
    ):
        assert isinstance(formula, MetricsLambda)
        assert torch.equal(torch.as_tensor(formula.compute()), torch.as_tensor(expected))


def test_items_and_methods_of_tensors_are_those_of_the_value():
    mine = valued(torch.tensor([[1.0, 2.0], [3.0, 5.0]]))
    assert (-mine)[1][0].compute().item() == -3
    assert mine[:, 1].mean().item().compute() == 3.5
    assert mine.sum(dim=0).tolist().compute() == [4, 7]
    assert mine.mul(valued(2)).sum().item().compute() == 22


def test_a_method_that_tensors_do_not_have_is_an_error_at_once():
    with pytest.raises(AttributeError, match=r"^'Last' object has no attribute 'avarage', nor have tensors\.$"):
        valued(1).avarage()
    with pytest.raises(AttributeError, match="Metric result of type <class 'float'> has no attribute 'mean'"):
        valued(1.0).mean().compute()
    assert not hasattr(valued(1), "shape")


def test_a_metric_is_no_sequence():
    with pytest.raises(TypeError, match="not iterable"):
        list(valued([1, 2]))


def test_a_function_is_given_the_values_wherever_its_metrics_are():
    formula = MetricsLambda(lambda *args, **kwargs: (args, kwargs), valued(1), 2, three=valued(3), four=4)
    assert formula.compute() == ((1, 2), {"three": 3, "four": 4})


def test_a_formula_resets_and_updates_each_of_its_metrics_once():
    one, other = Last(), Last()
    formula = (one + other) / (one - 2 * other + 1)
    formula.update(3)
    assert ([one.updates, other.updates], formula.compute()) == ([1, 1], -3)
    formula.reset()
    assert [one.value, other.value] == [None, None]


def test_an_attached_formula_is_not_updated_by_hand():
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


def test_metrics_are_updated_as_long_as_something_attached_needs_them():
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
    assert not any(slot.attached for slot in engine._slots.values())


def test_formulas_are_pickled_and_copied():
    formula = (2 * Precision() * Recall() / (Precision() + Recall())).mean() + Fbeta(1)
    batch = (torch.eye(3), torch.tensor([0, 1, 2]))
    for twin in (pickle.loads(pickle.dumps(formula)), copy.deepcopy(formula)):
        twin.update(batch)
        assert twin.compute() == pytest.approx(2)
    with pytest.raises(NotComputableError):
        formula.compute()


def test_a_metric_of_torchmetrics_is_one_of_a_formula():
    engine = Engine(echo)
    (as_metric(torchmetrics.SumMetric()) / as_metric(torchmetrics.MaxMetric())).attach(engine, "ratio")
    assert engine.run([1.0, 2.0, 4.0]).metrics == {"ratio": 1.75}


# Running averages


def test_a_running_average_of_a_metric_is_over_each_iteration_alone():
    engine, seen = Engine(echo), []
    RunningAverage(Last(), alpha=0.5).attach(engine, "average")
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: seen.append(engine.state.metrics["average"]))
    engine.run([4.0, 8.0, 0.0])
    assert seen == [4, 6, 3]


def test_a_running_average_keeps_no_tensor_of_the_step():
    average, output = RunningAverage(output_transform=lambda x: x), torch.tensor(2.0, requires_grad=True)
    average.update(output)
    with torch.no_grad():
        output += 1
    assert (average.compute().item(), average.compute().requires_grad) == (2, False)


@pytest.mark.parametrize(
    ("metric", "batch"),
    [
        (RunningAverage(output_transform=lambda x: x), torch.rand((), device="meta")),
        (Loss(cross_entropy), (torch.rand(4, 3, device="meta"), torch.zeros(4, dtype=torch.long, device="meta"))),
        (MeanSquaredError(), (torch.rand(4, device="meta"), torch.rand(4, device="meta"))),
        (MeanAbsoluteError(), (torch.rand(4, device="meta"), torch.rand(4, device="meta"))),
        (TopKCategoricalAccuracy(2), (torch.rand(4, 3, device="meta"), torch.zeros(4, device="meta"))),
        (EpochMetric(max), (torch.rand(4, device="meta"), torch.zeros(4, device="meta"))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_update_asks_the_device_for_a_number(metric, batch):
    # A tensor on "meta" has no numbers: asking for one is an error, where on a GPU the host would wait.
    metric = copy.deepcopy(metric)
    if isinstance(metric, EpochMetric):
        metric._check_compute_fn = False
    metric.update(batch)
    metric.update(batch)


def test_a_running_average_without_a_value_is_an_error():
    with pytest.raises(NotComputableError, match="RunningAverage must have at least one value"):
        RunningAverage(output_transform=float).compute()


# Usages


def test_a_metric_is_updated_in_the_iterations_that_a_filter_lets_through():
    engine, metric = Engine(echo), Last()
    metric.attach(engine, "last", BatchFiltered(every=2))
    assert (engine.run([1, 2, 3], max_epochs=2).metrics, metric.updates) == ({"last": 3}, 2)
    assert metric.is_attached(engine, BatchFiltered(every=2))
    assert not metric.is_attached(engine, BatchFiltered(every=3))
    assert not metric.is_attached(engine, EpochWise)
    metric.detach(engine, BatchFiltered(every=2))
    assert not any(slot.attached for slot in engine._slots.values())


def test_a_usage_may_have_any_events():
    engine, seen = Engine(echo), []
    rarely = MetricUsage(Events.STARTED, Events.ITERATION_COMPLETED(every=3), Events.ITERATION_COMPLETED)
    RunningAverage(alpha=0.5, output_transform=float).attach(engine, "average", rarely)
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: seen.append(engine.state.metrics.get("average")))
    engine.run([4, 8, 0, 9])
    assert seen == [None, None, 3, 3]


@pytest.mark.parametrize("usage", [BatchFiltered, MetricUsage])
def test_a_usage_that_is_made_with_its_events_is_no_usage_as_a_class(usage):
    with pytest.raises(TypeError, match=rf"the class {usage.__name__}, which needs arguments: {usage.__name__}\("):
        Last().attach(Engine(echo), "last", usage)


def test_frequency_is_over_the_epoch_so_far(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("fsm_engine.metrics.frequency.perf_counter", lambda: now[0])

    def step(engine, batch):
        now[0] += 0.5
        return batch

    engine, seen = Engine(step), []
    frequency = Frequency()
    frequency.attach(engine, "per second", Events.ITERATION_COMPLETED(every=2))
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: seen.append(engine.state.metrics.get("per second")))
    engine.run([10, 20, 30, 41], max_epochs=2)
    assert seen == [None, 30, 30, 50, 50, 30, 30, 50]
    assert frequency.compute() == 50.5
    now[0] += 1000
    twin = Frequency()
    twin.load_state_dict(frequency.state_dict())
    now[0] += 0.5
    twin.update(24)
    assert (twin.compute(), frequency.is_attached(engine)) == (50, False)
    frequency.detach(engine, Events.ITERATION_COMPLETED(every=2))
    assert sum(len(slot.attached) for slot in engine._slots.values()) == 1  # the one of this test


def test_frequency_without_an_update_is_an_error():
    with pytest.raises(NotComputableError, match="Frequency must have at least one update"):
        Frequency().compute()


# Saved, and gone on with


def pairs(generator: torch.Generator, size: int) -> Any:
    return torch.rand(size, 3, generator=generator), torch.randint(3, (size,), generator=generator)


def labels(generator: torch.Generator, size: int) -> Any:
    return torch.randint(2, (2, size, 3), generator=generator).unbind()


def numbers(generator: torch.Generator, size: int) -> Any:
    return torch.rand(size, 2, generator=generator), torch.rand(size, 2, generator=generator)


def number(generator: torch.Generator, size: int) -> Any:
    return torch.rand((), generator=generator)


def many() -> Any:
    return torchmetrics.MetricCollection(
        {"accuracy": MulticlassAccuracy(3), "recall": MulticlassRecall(3), "f1": MulticlassF1Score(3)}
    )


def first_of(y_pred, y):
    return y_pred[0, 0].item() + len(y)


SAVED = {
    "accuracy": (Accuracy, pairs),
    "multilabel accuracy": (lambda: Accuracy(is_multilabel=True), labels),
    "loss": (lambda: Loss(cross_entropy), pairs),
    "precision": (lambda: Precision(average="weighted"), pairs),
    "recall of samples": (lambda: Recall(average="samples", is_multilabel=True), labels),
    "f beta": (lambda: Fbeta(2), pairs),
    "confusion matrix": (lambda: ConfusionMatrix(3, "samples")[1].tolist(), pairs),
    "best": (lambda: TopKCategoricalAccuracy(2), pairs),
    "squared error": (MeanSquaredError, numbers),
    "absolute error": (MeanAbsoluteError, numbers),
    "epoch metric": (lambda: EpochMetric(first_of), pairs),
    "running average": (lambda: RunningAverage(output_transform=float), number),
    "running average of a metric": (lambda: RunningAverage(Accuracy()), pairs),
    "running average of a formula": (lambda: RunningAverage(2 * Accuracy() + Accuracy()), pairs),
    "formula": (lambda: (Precision() * Recall() - Accuracy()).mean().item(), pairs),
    "of torchmetrics": (lambda: as_metric(MulticlassAccuracy(3)), pairs),
    "collection": (lambda: as_metric(many()), pairs),
    "curve": (lambda: as_metric(torchmetrics.AUROC("multiclass", num_classes=3)), pairs),
    "concatenation": (lambda: as_metric(torchmetrics.CatMetric()).sum(), number),
    "largest": (lambda: as_metric(torchmetrics.wrappers.MinMaxMetric(MulticlassAccuracy(3))), pairs),
    "latest": (lambda: as_metric(torchmetrics.wrappers.Running(torchmetrics.SumMetric(), window=3)), number),
}


def feed(metric: Metric, output: Any) -> None:
    """Give `metric` an output as an engine does."""
    engine = Engine(echo)
    engine.state.output = output
    for handler, event in metric._feeding_handlers(RunningBatchWise()):
        if event is Events.ITERATION_COMPLETED:
            handler(engine)


def plain_copy(state: Any) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def values_in_run(make: Any, outputs: list[Any], saved_after: int | None) -> list[Any]:
    """Return the value after each iteration, of a metric that is saved and replaced after some of them."""
    seen: list[Any] = []
    engine, metric = Engine(echo), make()
    usage = RunningBatchWise()
    metric.attach(engine, "value", usage)

    @engine.on(Events.ITERATION_COMPLETED(priority=-1))
    def note(engine):
        nonlocal metric
        seen.append(copy.deepcopy(engine.state.metrics))
        if engine.state.iteration == saved_after:
            state = metric.state_dict()
            kept = plain_copy(state)
            metric.detach(engine, usage)
            metric = make()
            metric.attach(engine, "value", usage)
            metric.load_state_dict(kept)

    engine.run(outputs)
    return seen


@settings(deadline=None, max_examples=60)
@given(
    which=st.sampled_from(sorted(SAVED)),
    sizes=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    saved_after=st.integers(1, 4),
    seed=st.integers(0, 2**32),
)
@pytest.mark.filterwarnings("ignore")  # torchmetrics warns of classes that do not occur
def test_a_metric_that_was_saved_goes_on_with_the_very_same_values(which, sizes, saved_after, seed):
    make, data = SAVED[which]
    generator = torch.Generator().manual_seed(seed)
    outputs = [data(generator, size) for size in sizes]
    assert str(values_in_run(make, outputs, saved_after)) == str(values_in_run(make, outputs, None))


@pytest.mark.parametrize("which", sorted(SAVED))
@pytest.mark.filterwarnings("ignore")
def test_what_was_saved_does_not_change_with_the_metric(which):
    make, data = SAVED[which]
    metric, generator = make(), torch.Generator().manual_seed(0)
    feed(metric, data(generator, 4))
    state = metric.state_dict()
    before, twin = str(state), make()
    twin.load_state_dict(state)
    for changed in (metric, twin):
        feed(changed, data(generator, 4))
        changed.reset()
    assert str(state) == before


def test_an_empty_metric_is_saved_too():
    metric = Accuracy()
    metric.update((torch.eye(3), torch.tensor([0, 1, 2])))
    metric.load_state_dict(Accuracy().state_dict())
    with pytest.raises(NotComputableError):
        metric.compute()


@pytest.mark.parametrize("saved_at", range(1, 7))
def test_a_run_saved_in_the_middle_of_an_epoch_goes_on_with_the_same_metrics(saved_at):
    generator = torch.Generator().manual_seed(0)
    data = [pairs(generator, 4) for _ in range(3)]

    def made():
        engine, seen = Engine(echo), []
        engine.resumes_exactly = True
        precision = Precision(average="macro")
        precision.attach(engine, "precision")
        (precision * 2 + Recall(average="micro")).attach(engine, "formula")
        RunningAverage(Accuracy(), alpha=0.7).attach(engine, "running")
        metrics.attach(many(), engine, "collection")
        engine.add_event_handler(
            Events.ITERATION_COMPLETED(priority=-1), lambda: seen.append(engine.state.metrics["running"])
        )
        engine.add_event_handler(Events.EPOCH_COMPLETED(priority=-1), lambda: seen.append(dict(engine.state.metrics)))
        return engine, seen

    whole, expected = made()
    whole.run(data, max_epochs=2)
    first, seen = made()
    first.run(data, max_epochs=2, until=Events.ITERATION_COMPLETED(once=saved_at))
    second, rest = made()
    second.load_state_dict(plain_copy(first.state_dict()))
    second.run(data)
    assert seen + rest == expected


def test_each_metric_is_saved_once_by_an_engine():
    engine, one, other = Engine(echo), Last(), Last()
    average = RunningAverage(other)
    one.attach(engine, "one")
    (one + average * one).attach(engine, "sum")
    saved = states_of_handlers(engine)
    assert saved == {
        "Last": {"value": None, "updates": 0},
        "RunningAverage": {"value": None, "src": {"value": None, "updates": 0}},
    }


class Custom(Metric):
    """Counts in attributes of all kinds."""

    def __init__(self, weigh: Any) -> None:
        self.weigh = weigh
        super().__init__()

    def reset(self) -> None:
        self.sums: dict[str, Any] = {"a": torch.zeros(2), "b": [0.0, (1, None)]}
        self.count = np.int64(0)

    def update(self, output: Any) -> None:
        self.sums["a"] += output
        self.count += 1

    def compute(self) -> Any:
        return self.sums["a"].sum().item() + int(self.count)


def test_the_data_among_the_attributes_of_a_metric_of_the_user_is_saved():
    metric = Custom(abs)
    metric.update(2)
    twin = Custom(abs)
    twin.load_state_dict(plain_copy(metric.state_dict()))
    metric.update(1)
    twin.update(1)
    assert (twin.compute(), set(metric.state_dict())) == (metric.compute(), {"sums", "count"})


def test_what_cannot_be_saved_is_an_error_that_says_how():
    class Worse(Custom):
        def reset(self) -> None:
            super().reset()
            self.seen = np.zeros(2)

    class Better(Worse):
        _state_dict_all_req_keys = ("sums", "count")

    with pytest.raises(TypeError, match=r"^Worse\.seen cannot be saved.*_state_dict_all_req_keys"):
        Worse(abs).state_dict()
    assert set(Better(abs).state_dict()) == {"sums", "count"}


@pytest.mark.parametrize("which", sorted(SAVED))
@pytest.mark.filterwarnings("ignore")
def test_the_state_of_another_metric_is_refused_and_nothing_changes(which):
    make, data = SAVED[which]
    metric, generator = make(), torch.Generator().manual_seed(0)
    feed(metric, data(generator, 4))
    before = str(metric.state_dict())
    for wrong in ({"sum": 3, "seconds": 4.0, "more": 1}, {}):
        with pytest.raises(ValueError, match="state dict"):
            metric.load_state_dict(wrong)
    with pytest.raises(TypeError, match="Argument state_dict should be a dictionary, but given"):
        metric.load_state_dict([1])
    assert str(metric.state_dict()) == before


def test_the_state_of_another_formula_is_refused():
    with pytest.raises(ValueError, match=re.escape("has 1 metrics, but this MetricsLambda depends on 2: Last, Last.")):
        (Last() + Last()).load_state_dict((Last() + 1).state_dict())
    with pytest.raises(ValueError, match="this RunningAverage has a metric as src"):
        RunningAverage(Last()).load_state_dict(RunningAverage(output_transform=float).state_dict())


def test_a_collection_whose_members_share_their_state_goes_on_in_place():
    collection = many()
    metric, generator = as_metric(collection), torch.Generator().manual_seed(0)
    batches = [pairs(generator, 8) for _ in range(3)]
    for batch in batches[:2]:
        metric.update(batch)
    state = metric.state_dict()
    metric.update(batches[2])
    expected = collection.compute()
    metric.load_state_dict(state)
    metric.update(batches[2])
    assert collection.compute() == expected


def test_an_engine_with_metrics_is_freed_without_the_garbage_collector():
    gc.disable()
    try:
        engine = Engine(echo)
        (Last() + 1).attach(engine, "formula")
        RunningAverage(Last()).attach(engine, "average")
        Frequency().attach(engine, "frequency")
        metrics.attach(torchmetrics.SumMetric(), engine, "sum")
        engine.run([1, 2])
        gone = weakref.ref(engine)
        del engine
        assert gone() is None
    finally:
        gc.enable()
