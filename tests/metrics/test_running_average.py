"""`RunningAverage` of outputs and of metrics."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest
import torch
import torchmetrics
from hypothesis import given, settings
from hypothesis import strategies as st
from simple_metrics import Last, echo
from torch.nn.functional import cross_entropy

from fsm_engine import Engine, Events, metrics
from fsm_engine.metrics import (
    Accuracy,
    EpochMetric,
    Loss,
    Metric,
    NotComputableError,
    Precision,
    RunningAverage,
    as_metric,
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


class InPlace(Metric):
    """Metric that resets and updates its containers in place and has a method of its own as `output_transform`."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.calls = 0
        self.lock = threading.Lock()  # cannot be copied
        self.inner = as_metric(torchmetrics.SumMetric())
        self.parts = {"inner": [self.inner]}
        super().__init__(output_transform=self.correct)

    def correct(self, output: Any) -> Any:
        self.calls += 1
        y_pred, y = output
        return (y_pred.argmax(1) == y).sum()

    def reset(self) -> None:
        self.seen.clear()
        self.inner.reset()

    def update(self, output: Any) -> None:
        self.seen.append(output.item())
        self.parts["inner"][0].update(output)

    def compute(self) -> Any:
        return 10 * sum(self.seen) + self.inner.compute().item() + len(self.seen)


def largest_error(y_pred, y):
    return (y_pred.argmax(1) - y).abs().max().item()


SOURCES = {
    "accuracy": Accuracy,
    "loss": lambda: Loss(cross_entropy),
    "formula": lambda: 2 * Accuracy() + Precision(average="macro") * Accuracy(),
    "item of a formula": lambda: (Precision(average=None) + 1).mean().item(),
    "epoch metric": lambda: EpochMetric(largest_error),
    "torchmetrics": lambda: as_metric(torchmetrics.classification.MulticlassAccuracy(3)),
    "in place": InPlace,
    "running average": lambda: RunningAverage(Accuracy(), alpha=0.7),
    "formula of a running average": lambda: RunningAverage(Accuracy(), alpha=0.7) + Accuracy(),
}

ATTACHMENTS = {
    "source": lambda source, engine: source.attach(engine, "source", metrics.EpochWise),
    "source again": lambda source, engine: source.attach(engine, "source again", metrics.EpochWise),
    "average": lambda source, engine: RunningAverage(source, alpha=0.5).attach(engine, "average"),
    "second average": lambda source, engine: RunningAverage(source, alpha=0.9).attach(engine, "second average"),
    "average of epochs": lambda source, engine: RunningAverage(source, alpha=0.5).attach(
        engine, "average of epochs", "running_epoch_wise"
    ),
    "formula": lambda source, engine: (source + 1).attach(engine, "formula", metrics.EpochWise),
    "average of a formula": lambda source, engine: RunningAverage(source + 1, alpha=0.5).attach(
        engine, "average of a formula"
    ),
}


def values(kind: str, attached: list[str], outputs: list[Any]) -> list[dict[str, Any]]:
    """Return the metrics of the state after each iteration and epoch, with `attached` on one engine."""
    engine, source, seen = Engine(echo), SOURCES[kind](), []
    for name in attached:
        ATTACHMENTS[name](source, engine)
    for event in (Events.ITERATION_COMPLETED, Events.EPOCH_COMPLETED):
        engine.add_event_handler(event, lambda: seen.append(dict(engine.state.metrics)))
    engine.run(outputs, max_epochs=2)
    return seen


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(sorted(SOURCES)),
    attached=st.lists(st.sampled_from(sorted(ATTACHMENTS)), min_size=2, max_size=4, unique=True),
    sizes=st.lists(st.integers(2, 5), min_size=2, max_size=3),
    seed=st.integers(0, 2**32),
)
@pytest.mark.filterwarnings("ignore")  # torchmetrics warns about classes without examples
def test_source_and_averages_on_one_engine_have_the_values_that_each_has_alone(kind, attached, sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    outputs = [(torch.rand(n, 3, generator=generator), torch.randint(3, (n,), generator=generator)) for n in sizes]
    alone = [values(kind, [name], outputs) for name in attached]
    assert values(kind, attached, outputs) == [
        {name: value for one in found for name, value in one.items()} for found in zip(*alone)
    ]


@pytest.mark.parametrize("average_first", [False, True])
def test_metric_keeps_its_epoch_value_when_its_running_average_is_attached_too(average_first):
    engine, accuracy = Engine(echo), Accuracy()
    attachments = [
        lambda: accuracy.attach(engine, "accuracy"),
        lambda: RunningAverage(accuracy, alpha=0.5).attach(engine, "average"),
    ]
    for attach in reversed(attachments) if average_first else attachments:
        attach()
    right, wrong = (torch.tensor([[0.0, 1.0]]), torch.tensor([1])), (torch.tensor([[0.0, 1.0]]), torch.tensor([0]))
    assert engine.run([right, right, right, wrong]).metrics == {"accuracy": 0.75, "average": 0.5}


def test_average_on_one_engine_does_not_disturb_its_source_on_another():
    trainer, evaluator, source = Engine(echo), Engine(echo), Last()
    source.attach(evaluator, "last")
    RunningAverage(source, alpha=0.5).attach(trainer, "average")
    trainer.add_event_handler(Events.ITERATION_STARTED, lambda: evaluator.run([7, 9]))
    trainer.run([4.0, 8.0])
    assert (trainer.state.metrics, evaluator.state.metrics) == ({"average": 6}, {"last": 9})
    assert (source.value, source.updates) == (9, 2)


def test_making_updating_and_restoring_an_average_leaves_the_source_unchanged():
    source = Last()
    source.update(3)
    average = RunningAverage(source, alpha=0.5)
    average.update(4.0)
    average.update(8.0)
    restored = RunningAverage(Last(), alpha=0.5)
    restored.load_state_dict(average.state_dict())
    average.reset()
    assert (restored.compute(), source.value, source.updates) == (6, 3, 1)
    assert average.src is source


def test_average_of_an_attached_formula_can_be_updated():
    engine, formula = Engine(echo), Last() + 1
    formula.attach(engine, "formula")
    average = RunningAverage(formula, alpha=0.5)
    average.update(3.0)
    assert average.compute() == 4


def test_copy_of_the_source_shares_modules_and_functions():
    class Model(torch.nn.Module):
        def loss(self, y_pred, y):
            return (self.weight * y_pred - y).mean()

    model, engine = Model(), Engine(echo)
    model.weight = torch.nn.Parameter(torch.tensor(1.0))
    RunningAverage(Loss(model.loss), alpha=1e-9).attach(engine, "loss")

    @engine.on(Events.ITERATION_STARTED)
    def train():
        model.weight.data += 1

    assert engine.run([(torch.ones(1), torch.zeros(1))] * 3).metrics == {"loss": pytest.approx(4)}


def test_pickled_average_of_a_metric_continues():
    average = RunningAverage(Last(), alpha=0.5)
    average.update(4.0)
    again = pickle.loads(pickle.dumps(average))
    again.update(8.0)
    assert again.compute() == 6
