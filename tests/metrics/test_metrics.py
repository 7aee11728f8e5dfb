"""Values of metrics, and the events at which an engine resets, updates and computes them."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import re
import subprocess
import sys
import weakref
from functools import partial
from typing import Any

import ignite.metrics
import pytest
import torch
import torchmetrics
from hypothesis import given, settings
from hypothesis import strategies as st
from simple_metrics import Last
from torch.nn.functional import cross_entropy, mse_loss
from torchmetrics.classification import BinaryAccuracy, MulticlassAccuracy

from fsm_engine import Engine, Events, metrics
from fsm_engine.metrics import (
    Accuracy,
    BatchWise,
    EpochMetric,
    EpochWise,
    Frequency,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
    NotComputableError,
    RunningAverage,
    RunningBatchWise,
    RunningEpochWise,
    SingleEpochRunningBatchWise,
    TopKCategoricalAccuracy,
)

USAGES = [EpochWise, RunningEpochWise, BatchWise, RunningBatchWise, SingleEpochRunningBatchWise]


class Sum(Metric):
    """Sum of the outputs; logs the names of the called methods."""

    def __init__(self, **options: Any) -> None:
        self.log: list[str] = []
        super().__init__(**options)

    def reset(self) -> None:
        self.sum = 0
        self.log.append("reset")

    def update(self, output: Any) -> None:
        self.sum += output
        self.log.append("update")

    def compute(self) -> Any:
        self.log.append("compute")
        return self.sum


class Constant(Sum):
    """Metric with a constant value."""

    def __init__(self, value: Any) -> None:
        super().__init__(output_transform=lambda output: 0)
        self.value = value

    def compute(self) -> Any:
        return self.value


def echo(engine, batch):
    return batch


def run_of(attached, outputs):
    """Return the metrics after a run whose step returns `outputs`, with `attached` as "value"."""
    engine = Engine(echo)
    attached.attach(engine, "value")
    return engine.run(outputs).metrics


def computed(metric, outputs):
    for output in outputs:
        metric.update(output)
    return metric.compute()


# Accuracy and Loss compared with pytorch-ignite


def scores(generator, size, classes, positions):
    y_pred = torch.rand(size, classes, *positions, generator=generator)
    return y_pred, torch.randint(classes, (size, *positions), generator=generator)


def zeros_and_ones(generator, *shape):
    return torch.randint(2, shape, generator=generator), torch.randint(2, shape, generator=generator)


KINDS = {
    "multiclass": (scores, {}),
    "binary": (lambda g, size, classes, positions: zeros_and_ones(g, size, *positions), {}),
    "multilabel": (
        lambda g, size, classes, positions: zeros_and_ones(g, size, classes, *positions),
        {"is_multilabel": True},
    ),
}


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 9)).map(sorted),
    classes=st.integers(2, 5),
    positions=st.lists(st.integers(1, 3), max_size=2),
    seed=st.integers(0, 2**32),
)
def test_accuracy_equals_ignites_for_any_data_with_a_smaller_last_batch(kind, sizes, classes, positions, seed):
    make, options = KINDS[kind]
    generator = torch.Generator().manual_seed(seed)
    smaller, size = sizes
    batches = [make(generator, n, classes, positions) for n in (size, size, smaller)]

    assert computed(Accuracy(**options), batches) == computed(ignite.metrics.Accuracy(**options), batches)


@settings(deadline=None, max_examples=20)
@given(sizes=st.tuples(st.integers(1, 9), st.integers(1, 9)).map(sorted), seed=st.integers(0, 2**32))
def test_loss_equals_ignites_for_any_data_with_a_smaller_last_batch(sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    smaller, size = sizes
    batches = [scores(generator, n, 3, ()) for n in (size, size, smaller)]

    assert computed(Loss(cross_entropy), batches) == pytest.approx(
        computed(ignite.metrics.Loss(cross_entropy), batches)
    )


@pytest.mark.parametrize(
    ("y_pred", "y"),
    [
        (torch.tensor([[0], [1], [1]]), torch.tensor([0, 1, 0])),
        (torch.tensor([[[0, 1]], [[1, 1]]]), torch.tensor([[0, 1], [1, 0]])),
        (torch.tensor([[0], [1], [1]]), torch.tensor([[0], [1], [0]])),
        (torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0])),
        (torch.tensor([True, False]), torch.tensor([True, True])),
        (torch.eye(3), torch.tensor([0.0, 1.0, 1.0])),
        (torch.eye(3), torch.tensor([0, 7, -100])),
        (torch.tensor([[0.1, 0.9, 0.9], [0.8, 0.8, 0.2]]), torch.tensor([1, 1])),
    ],
    ids=["one score", "one score per position", "columns", "floats", "bools", "float classes", "no such class", "ties"],
)
def test_accuracy_equals_ignites_for_unusual_data(y_pred, y):
    assert computed(Accuracy(), [(y_pred, y)]) == computed(ignite.metrics.Accuracy(), [(y_pred, y)])


# Accuracy


def test_each_epoch_is_computed_over_its_own_batches():
    engine, seen = Engine(echo), []
    Accuracy().attach(engine, "accuracy")
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: seen.append(engine.state.metrics["accuracy"]))
    right, wrong = torch.tensor([1, 1]), torch.tensor([0])

    engine.run([(right, right), (wrong, wrong + 1)])
    engine.run([(right, right)], epoch_length=1)

    assert seen == [2 / 3, 1.0]


@pytest.mark.parametrize("make", [Accuracy, partial(Loss, mse_loss)], ids=["Accuracy", "Loss"])
def test_update_accepts_a_mapping_with_y_pred_and_y(make):
    y_pred, y = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0])

    assert computed(make(), [{"y_pred": y_pred, "y": y, "more": 1}]) == 0.5


@pytest.mark.parametrize(
    ("output", "shown"),
    [(3, "int"), ((1, 2, 3), "tuple"), ({"y_pred": 1, "z": 2}, "the keys ['y_pred', 'z']")],
)
@pytest.mark.parametrize("metric", [Accuracy(), Loss(mse_loss)], ids=["Accuracy", "Loss"])
def test_update_with_another_form_of_data_raises_type_error(metric, output, shown):
    message = rf"{type(metric).__name__} needs \(y_pred, y\), or a mapping .* {re.escape(shown)}\. .*output_transform="
    with pytest.raises(TypeError, match=message):
        metric.update(output)


@pytest.mark.parametrize(
    ("y_pred_shape", "y_shape"), [((4, 3), (5,)), ((4, 3), (4, 1)), ((4,), ()), ((), ()), ((4,), (4, 1))]
)
def test_mismatched_shapes_raise_value_error(y_pred_shape, y_shape):
    message = re.escape(
        "y must have shape of (batch_size, ...) and y_pred must have shape of (batch_size, num_categories, ...) or "
        f"(batch_size, ...), but given {y_shape} vs {y_pred_shape}."
    )
    with pytest.raises(ValueError, match=message):
        Accuracy().update((torch.ones(y_pred_shape), torch.ones(y_shape)))


@pytest.mark.parametrize(("y_pred_shape", "y_shape"), [((4, 3), (4,)), ((4,), (4,)), ((4, 1), (4, 1))])
def test_mismatched_multilabel_shapes_raise_value_error(y_pred_shape, y_shape):
    message = re.escape(
        "y and y_pred must have same shape of (batch_size, num_categories, ...) and num_categories > 1, "
        f"but given {y_shape} vs {y_pred_shape}."
    )
    with pytest.raises(ValueError, match=message):
        Accuracy(is_multilabel=True).update((torch.ones(y_pred_shape), torch.ones(y_shape)))


@pytest.mark.parametrize("is_multilabel", [False, True])
@pytest.mark.parametrize("wrong", ["y_pred", "y"])
def test_other_values_than_zeros_and_ones_raise_value_error(is_multilabel, wrong):
    output = {"y_pred": torch.ones(2, 2), "y": torch.ones(2, 2)}
    output[wrong][1, 1] = 0.7

    message = rf"For binary cases, {wrong} must be comprised of 0's and 1's.*output_transform="
    with pytest.raises(ValueError, match=message):
        Accuracy(is_multilabel=is_multilabel).update(output)


BINARY = (torch.ones(4), torch.ones(4))


def multiclass(classes):
    return torch.ones(4, classes), torch.ones(4)


def test_another_task_raises_until_reset():
    metric = Accuracy()
    metric.update(BINARY)

    with pytest.raises(RuntimeError, match=r"type has changed from binary to multiclass\. .*reset\(\)"):
        metric.update(multiclass(3))
    metric.reset()
    metric.update(multiclass(3))


def test_another_number_of_classes_raises_until_reset():
    metric = Accuracy()
    metric.update(multiclass(3))

    with pytest.raises(ValueError, match="number of classes has changed from 3 to 4"):
        metric.update(multiclass(4))
    metric.reset()
    metric.update(multiclass(4))


@pytest.mark.parametrize("make", [Accuracy, partial(Loss, mse_loss)], ids=["Accuracy", "Loss"])
@pytest.mark.parametrize("outputs", [[], [(torch.ones(0), torch.ones(0))]], ids=["no batch", "an empty batch"])
def test_compute_without_examples_raises(make, outputs):
    metric = make()

    message = rf"{type(metric).__name__} must have at least one example before it can be computed\. .*update\(\)"
    with pytest.raises(NotComputableError, match=message):
        computed(metric, outputs)


@pytest.mark.parametrize("make", [Accuracy, partial(Loss, cross_entropy)], ids=["Accuracy", "Loss"])
@pytest.mark.parametrize(("device", "data_on"), [("meta", "cpu"), (None, "meta")])
def test_metric_computes_on_its_device_or_else_on_the_device_of_the_data(make, device, data_on):
    metric = make(device=device)
    metric.update((torch.ones(4, 3, device=data_on), torch.ones(4, dtype=torch.long, device=data_on)))

    with pytest.raises(RuntimeError, match="meta tensors"):  # their values cannot be read
        metric.compute()


def test_output_transform_returns_the_pair():
    metric = Accuracy(output_transform=lambda output: (output["scores"].round(), output["labels"]))

    assert run_of(metric, [{"scores": torch.tensor([0.2, 0.7]), "labels": torch.tensor([0, 0])}]) == {"value": 0.5}


# Loss


def test_loss_weights_batches_by_batch_size():
    metric = Loss(lambda y_pred, y: y_pred, batch_size=lambda y: y)

    assert computed(metric, [(torch.tensor(1.0), 3), (torch.tensor(5.0), 1)]) == 2.0


def test_loss_is_computed_without_gradients():
    seen = []

    def loss_fn(y_pred, y):
        seen.append(torch.is_grad_enabled())
        return mse_loss(y_pred, y)

    computed(Loss(loss_fn), [(torch.ones(2, requires_grad=True), torch.ones(2))])

    assert seen == [False]


def test_loss_accumulates_in_double_precision():
    metric = Loss(lambda y_pred, y: y_pred, batch_size=lambda y: 1)

    assert computed(metric, [(torch.tensor(1e8), 0), (torch.tensor(1.0), 0)]) == 50_000_000.5


def test_nan_loss_makes_the_mean_nan():
    assert math.isnan(computed(Loss(mse_loss), [(torch.tensor([math.nan]), torch.ones(1)), BINARY]))


def test_unreduced_loss_raises_value_error():
    with pytest.raises(ValueError, match=r"loss_fn did not return the average loss.*\(4,\)\. .*reduction='mean'"):
        Loss(lambda y_pred, y: y_pred - y).update(BINARY)


# Usages


VALUES = {  # over the outputs 1, 2 of each of two epochs
    EpochWise: [3, 3],
    RunningEpochWise: [2, 4],
    BatchWise: [1, 2, 1, 2],
    RunningBatchWise: [1, 3, 4, 6],
    SingleEpochRunningBatchWise: [1, 3, 1, 3],
}


@pytest.mark.parametrize("given_as", ["class", "object", "name"])
@pytest.mark.parametrize("usage", USAGES)
def test_usage_determines_when_and_over_which_outputs_a_metric_is_computed(usage, given_as):
    engine, seen = Engine(echo), []
    metric = Sum()
    metric.attach(engine, "sum", {"class": usage, "object": usage(), "name": usage.usage_name}[given_as])
    engine.add_event_handler(usage.COMPLETED, lambda engine: seen.append(engine.state.metrics["sum"]))

    engine.run([1, 2], max_epochs=2)

    assert seen == VALUES[usage]
    assert metric.log.count("compute") == len(seen)


def test_default_usage_is_epoch_wise():
    engine, metric = Engine(echo), Sum()

    metric.attach(engine, "sum")

    assert [metric.is_attached(engine, usage) for usage in USAGES] == [True, False, False, False, False]


def test_usages_have_the_names_that_ignite_gives_them():
    assert [usage.usage_name for usage in USAGES] == [
        "epoch_wise",
        "running_epoch_wise",
        "batch_wise",
        "running_batch_wise",
        "single_epoch_running_batch_wise",
    ]


@pytest.mark.parametrize("method", ["attach", "detach", "is_attached"])
def test_unknown_usage_raises(method):
    arguments = [Engine(echo), "sum"] if method == "attach" else [Engine(echo)]

    names = ", ".join(usage.usage_name for usage in USAGES)
    with pytest.raises(ValueError, match=f"Argument usage is 'epochwise'.* {names}"):
        getattr(Sum(), method)(*arguments, usage="epochwise")
    classes = ", ".join(usage.__name__ for usage in USAGES)
    with pytest.raises(TypeError, match=f"Argument usage should be one of {classes}.* 3"):
        getattr(Sum(), method)(*arguments, usage=3)


def test_metric_attached_under_two_names_is_updated_once():
    engine, metric = Engine(echo), Sum()
    metric.attach(engine, "one")
    metric.attach(engine, "other")

    engine.run([1, 2])

    assert engine.state.metrics == {"one": 3, "other": 3}
    assert metric.log == ["reset", "reset", "update", "update", "compute", "compute"]


def test_usages_with_the_same_update_event_share_the_update_until_the_last_is_detached():
    engine, metric = Engine(echo), Sum()
    metric.attach(engine, "epoch", EpochWise)
    metric.attach(engine, "running", SingleEpochRunningBatchWise)
    assert engine.run([1, 2]).metrics == {"epoch": 3, "running": 3}

    metric.detach(engine, SingleEpochRunningBatchWise)
    assert engine.run([3, 4]).metrics == {"epoch": 7, "running": 3}
    assert [metric.is_attached(engine, usage) for usage in USAGES] == [True, False, False, False, False]

    metric.detach(engine)
    assert engine.run([5]).metrics == {"epoch": 7, "running": 3}


def test_detached_metric_is_not_called():
    engine, metric = Engine(echo), Sum()
    metric.attach(engine, "one")
    metric.attach(engine, "other")
    metric.detach(engine)
    metric.log.clear()

    engine.run([1])

    assert (metric.log, engine.state.metrics, metric.is_attached(engine)) == ([], {}, False)


def test_detaching_an_unattached_metric_changes_nothing():
    engine, metric, other = Engine(echo), Sum(), Sum()
    metric.attach(engine, "sum")

    metric.detach(engine, BatchWise)
    other.detach(engine)

    assert engine.run([1, 2]).metrics == {"sum": 3}


def test_output_transform_returns_the_argument_of_update():
    assert run_of(Sum(output_transform=len), ["a", "bcd"]) == {"value": 4}


# Values in the state


@pytest.mark.parametrize(
    ("value", "metrics"),
    [
        (torch.tensor(3), {"value": 3}),
        (torch.tensor(0.5), {"value": 0.5}),
        ("text", {"value": "text"}),
        ({"a": torch.tensor(1), "b": {"c": 2}}, {"a": 1, "b": {"c": 2}, "value": {"a": 1, "b": {"c": 2}}}),
    ],
)
def test_scalar_tensors_become_numbers_and_mappings_are_flattened(value, metrics):
    result = run_of(Constant(value), [0])

    assert result == metrics
    assert not any(isinstance(item, torch.Tensor) for item in result.values())


def test_tensor_with_dimensions_stays_a_tensor():
    value = torch.tensor([1.0])

    assert run_of(Constant(value), [0])["value"] is value


def test_mapping_with_the_name_of_the_metric_as_key_raises():
    message = r"Argument name 'value' is conflicting with mapping keys: \['value', 'b'\]"
    with pytest.raises(ValueError, match=message):
        run_of(Constant({"value": 1, "b": 2}), [0])


# torchmetrics


def test_torchmetrics_metric_accepts_pairs_mappings_and_single_values():
    engine = Engine(echo)
    accuracy, mean = MulticlassAccuracy(3, average="micro"), torchmetrics.MeanMetric()
    metrics.attach(accuracy, engine, "pair")
    metrics.attach(
        MulticlassAccuracy(3, average="micro"),
        engine,
        "mapping",
        output_transform=lambda o: {"preds": o[0], "target": o[1]},
    )
    metrics.attach(mean, engine, "single", output_transform=lambda output: output[1].float().mean())

    result = engine.run([(torch.eye(3), torch.tensor([0, 1, 2])), [torch.eye(3), torch.tensor([0, 0, 0])]]).metrics

    assert result == {"pair": pytest.approx(4 / 6), "mapping": pytest.approx(4 / 6), "single": 0.5}


@pytest.mark.parametrize("usage", USAGES)
def test_torchmetrics_metric_follows_usages(usage):
    engine, seen = Engine(echo), []
    metrics.attach(torchmetrics.SumMetric(), engine, "sum", usage)
    engine.add_event_handler(usage.COMPLETED, lambda engine: seen.append(engine.state.metrics["sum"]))

    engine.run([1, 2], max_epochs=2)

    assert seen == VALUES[usage]


def test_torchmetrics_collection_is_flattened():
    collection = torchmetrics.MetricCollection([BinaryAccuracy(), torchmetrics.classification.BinaryRecall()])
    engine = Engine(echo)
    metrics.attach(collection, engine, "all")

    result = engine.run([(torch.tensor([1, 0]), torch.tensor([1, 1]))]).metrics

    both = {"BinaryAccuracy": 0.5, "BinaryRecall": 0.5}
    assert result == {**both, "all": both}


def test_torchmetrics_metric_under_two_names_is_updated_once_and_can_be_detached():
    engine, metric, other = Engine(echo), torchmetrics.SumMetric(), torchmetrics.SumMetric()
    metrics.attach(metric, engine, "one")
    metrics.attach(metric, engine, "two")
    assert engine.run([1, 2]).metrics == {"one": 3, "two": 3}
    assert [metrics.is_attached(m, engine) for m in (metric, other)] == [True, False]

    metrics.detach(metric, engine)

    assert not metrics.is_attached(metric, engine)
    assert engine.run([4]).metrics == {"one": 3, "two": 3}


@pytest.mark.parametrize(
    "metric",
    [torchmetrics.SumMetric(), torchmetrics.MetricCollection([torchmetrics.SumMetric()])],
    ids=["metric", "collection"],
)
def test_torchmetrics_metric_without_data_raises(metric):
    engine = Engine(echo)
    metrics.attach(metric, engine, "sum")
    engine.add_event_handler(Events.EPOCH_STARTED, lambda engine: engine.terminate_epoch())

    with pytest.raises(NotComputableError, match=rf"^{type(metric).__name__} was given no data"):
        engine.run([1])


def test_attach_function_refuses_own_metrics():
    metric = Sum()

    message = rf"{re.escape(repr(metric))} is not a metric of torchmetrics.* metric\.attach\(engine, name\)"
    with pytest.raises(TypeError, match=message):
        metrics.attach(metric, Engine(echo), "sum")


def test_adapters_of_the_same_torchmetrics_metric_are_equal():
    ours, theirs, other = Sum(), torchmetrics.SumMetric(), torchmetrics.SumMetric()

    assert metrics.as_metric(ours) is ours
    assert metrics.as_metric(theirs) == metrics.as_metric(theirs)
    assert metrics.as_metric(theirs) != metrics.as_metric(other)
    assert len({metrics.as_metric(metric) for metric in (ours, ours, theirs, theirs, other)}) == 3


def test_attaching_does_not_reset_a_torchmetrics_metric():
    metric = torchmetrics.SumMetric()
    metric.update(5)

    metrics.attach(metric, Engine(echo), "sum")

    assert metric.compute() == 5


def test_engine_with_metrics_can_be_pickled():
    engine = Engine(echo)
    Accuracy().attach(engine, "ours")
    metrics.attach(BinaryAccuracy(), engine, "theirs")
    engine.run([BINARY])

    copy = pickle.loads(pickle.dumps(engine))

    assert copy.run([(torch.ones(2), torch.tensor([1, 0]))]).metrics == {"ours": 0.5, "theirs": 0.5}


@pytest.mark.parametrize(
    ("metric", "batch"),
    [
        (RunningAverage(output_transform=lambda x: x), torch.rand((), device="meta")),
        (Accuracy(), (torch.rand(4, 3, device="meta"), torch.zeros(4, dtype=torch.long, device="meta"))),
        (Loss(cross_entropy), (torch.rand(4, 3, device="meta"), torch.zeros(4, dtype=torch.long, device="meta"))),
        (MeanSquaredError(), (torch.rand(4, device="meta"), torch.rand(4, device="meta"))),
        (MeanAbsoluteError(), (torch.rand(4, device="meta"), torch.rand(4, device="meta"))),
        (TopKCategoricalAccuracy(2), (torch.rand(4, 3, device="meta"), torch.zeros(4, device="meta"))),
        (EpochMetric(max), (torch.rand(4, device="meta"), torch.zeros(4, device="meta"))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_update_does_not_synchronize_with_the_device(metric, batch):
    # Reading a value from a tensor on "meta" raises. On a GPU the same operation would make the host wait.
    metric = copy.deepcopy(metric)
    if isinstance(metric, EpochMetric):
        metric._check_compute_fn = False
    metric.update(batch)
    metric.update(batch)


def test_engine_with_metrics_is_freed_without_the_garbage_collector():
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


# Without torchmetrics


@pytest.mark.parametrize("make", [Accuracy, partial(Loss, mse_loss)], ids=["Accuracy", "Loss"])
def test_missing_torchmetrics_raises_with_the_pip_command(make, monkeypatch):
    name = type(make()).__name__
    monkeypatch.setitem(sys.modules, "torchmetrics", None)

    with pytest.raises(
        ModuleNotFoundError, match=rf'^{name} needs torchmetrics.* pip install "fsm-engine\[metrics\]"$'
    ):
        make()


def test_torchmetrics_is_imported_only_when_a_metric_is_made():
    code = "import sys, fsm_engine.metrics, fsm_engine.supervised; print('torchmetrics' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
