"""State dicts of metrics: restored metrics continue exactly, and other state dicts are refused."""

from __future__ import annotations

import copy
import io
import re
from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics
from hypothesis import given, settings
from hypothesis import strategies as st
from simple_metrics import Last, echo
from torch.nn.functional import cross_entropy
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score, MulticlassRecall

from fsm_engine import Engine, Events, metrics
from fsm_engine.metrics import (
    Accuracy,
    ConfusionMatrix,
    EpochMetric,
    Fbeta,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
    NotComputableError,
    Precision,
    Recall,
    RunningAverage,
    RunningBatchWise,
    TopKCategoricalAccuracy,
    as_metric,
)
from fsm_engine.persistence.handler_state import handler_states


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
    """Update `metric` from an output by the handlers that an engine calls."""
    engine = Engine(echo)
    engine.state.output = output
    for handler, event in metric._reset_and_update_handlers(RunningBatchWise()):
        if event is Events.ITERATION_COMPLETED:
            handler(engine)


def plain_copy(state: Any) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def values_in_run(make: Any, outputs: list[Any], saved_after: int | None) -> list[Any]:
    """Return the value after each iteration; after `saved_after` of them a new metric continues from a state dict."""
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
@pytest.mark.filterwarnings("ignore")  # torchmetrics warns about classes without examples
def test_restored_metric_returns_the_same_values_as_an_uninterrupted_one(which, sizes, saved_after, seed):
    make, data = SAVED[which]
    generator = torch.Generator().manual_seed(seed)
    outputs = [data(generator, size) for size in sizes]
    assert str(values_in_run(make, outputs, saved_after)) == str(values_in_run(make, outputs, None))


@pytest.mark.parametrize("which", sorted(SAVED))
@pytest.mark.filterwarnings("ignore")
def test_state_dict_does_not_change_with_the_metric(which):
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


def test_state_dict_of_an_empty_metric_empties_the_metric():
    metric = Accuracy()
    metric.update((torch.eye(3), torch.tensor([0, 1, 2])))
    metric.load_state_dict(Accuracy().state_dict())
    with pytest.raises(NotComputableError):
        metric.compute()


@pytest.mark.parametrize("saved_at", range(1, 7))
def test_run_resumed_in_the_middle_of_an_epoch_has_the_same_metrics(saved_at):
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


def test_engine_saves_each_metric_once():
    engine, one, other = Engine(echo), Last(), Last()
    average = RunningAverage(other)
    one.attach(engine, "one")
    (one + average * one).attach(engine, "sum")
    saved = handler_states(engine)
    assert saved == {
        "Last": {"value": None, "updates": 0},
        "RunningAverage": {"value": None, "src": {"value": None, "updates": 0}},
    }


class Custom(Metric):
    """Metric with attributes of several types."""

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


def test_state_dict_of_a_custom_metric_has_the_attributes_that_hold_data():
    metric = Custom(abs)
    metric.update(2)
    twin = Custom(abs)
    twin.load_state_dict(plain_copy(metric.state_dict()))
    metric.update(1)
    twin.update(1)
    assert (twin.compute(), set(metric.state_dict())) == (metric.compute(), {"sums", "count"})


def test_attribute_that_cannot_be_saved_raises_type_error_with_the_fix():
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
def test_state_dict_of_another_metric_raises_and_changes_nothing(which):
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


def test_state_dict_of_another_expression_raises():
    with pytest.raises(ValueError, match=re.escape("has 1 metrics, but this MetricsLambda depends on 2: Last, Last.")):
        (Last() + Last()).load_state_dict((Last() + 1).state_dict())
    with pytest.raises(ValueError, match="this RunningAverage has a metric as src"):
        RunningAverage(Last()).load_state_dict(RunningAverage(output_transform=float).state_dict())


def test_restored_collection_with_compute_groups_continues():
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
