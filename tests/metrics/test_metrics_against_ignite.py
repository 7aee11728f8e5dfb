"""Comparison with the metrics of pytorch-ignite on random data: both return the same values, or both raise."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from typing import Any

import ignite.engine
import ignite.metrics
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

import fsm_engine.engine.engine
from fsm_engine import metrics

AVERAGES = [False, None, True, "macro", "micro", "weighted", "samples"]


def as_lists(value: Any) -> Any:
    return value.tolist() if isinstance(value, torch.Tensor) else value


def value_of(make: Callable[[Any], Any], library: Any, batches: list[Any]) -> Any:
    """Return the value of a metric after `batches`, or "error" if it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            metric = make(library)
            for batch in batches:
                metric.update(batch)
            return as_lists(metric.compute())
        except (RuntimeError, ValueError, TypeError, IndexError):
            return "error"


def assert_alike(make: Callable[[Any], Any], batches: list[Any]) -> Any:
    ours, theirs = (value_of(make, library, batches) for library in (metrics, ignite.metrics))
    if isinstance(theirs, str):
        assert ours == theirs
    elif isinstance(theirs, list) and theirs and isinstance(theirs[0], list):
        assert [pytest.approx(row, rel=1e-5, abs=1e-7) for row in theirs] == ours
    else:
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-7)
    return ours


@st.composite
def batches_of_classes(draw: Any, *kinds: str) -> list[Any]:
    """Up to three batches, mostly of the same task."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(kinds or ("multiclass", "binary", "column", "multilabel")))
    classes, positions = draw(st.integers(2, 4)), draw(st.lists(st.integers(1, 3), max_size=2))
    batches = []
    for size in draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)):
        if draw(st.integers(0, 15)) == 0:  # sometimes the task changes
            kind, classes = draw(st.sampled_from(["multiclass", "binary", "multilabel"])), draw(st.integers(2, 4))
        ones = torch.randint(2, (2, size, classes, *positions), generator=generator)
        y = torch.randint(classes, (size, *positions), generator=generator)
        if kind == "multiclass":
            batches.append((torch.rand(size, classes, *positions, generator=generator), y))
        elif kind == "multilabel":
            batches.append((ones[0], ones[1]))
        elif kind == "column":
            batches.append((ones[0, :, :1], ones[1, :, 0]))
        else:
            batches.append((ones[0, :, 0], ones[1, :, 0]))
    return [(y_pred.contiguous(), y.contiguous()) for y_pred, y in batches]  # Ignite requires contiguous tensors


@settings(deadline=None, max_examples=100)
@given(
    batches=batches_of_classes(),
    name=st.sampled_from(["Precision", "Recall"]),
    average=st.sampled_from(AVERAGES),
    is_multilabel=st.booleans(),
)
def test_precision_and_recall_equal_ignites(batches, name, average, is_multilabel):
    assert_alike(lambda library: getattr(library, name)(average=average, is_multilabel=is_multilabel), batches)


@settings(deadline=None, max_examples=60)
@given(
    batches=batches_of_classes("multilabel"),
    name=st.sampled_from(["Precision", "Recall"]),
    average=st.sampled_from(AVERAGES),
)
def test_multilabel_precision_and_recall_equal_ignites(batches, name, average):
    assert_alike(lambda library: getattr(library, name)(average=average, is_multilabel=True), batches)


@settings(deadline=None, max_examples=30)
@given(batches=batches_of_classes(), beta=st.sampled_from([0.5, 1, 2]), average=st.booleans())
def test_fbeta_equals_ignites(batches, beta, average):
    assert_alike(lambda library: library.Fbeta(beta, average), batches)


@settings(deadline=None, max_examples=40)
@given(
    classes=st.integers(1, 4),
    batches=batches_of_classes(),
    average=st.sampled_from([None, "samples", "recall", "precision", "macro"]),
    shift=st.sampled_from([0, 0, -1, 1]),
)
def test_confusion_matrix_equals_ignites(classes, batches, average, shift):
    batches = [(y_pred, y + shift) for y_pred, y in batches]
    assert_alike(lambda library: library.ConfusionMatrix(classes, average), batches)


@settings(deadline=None, max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 6), max_size=3), classes=st.integers(2, 6), k=st.integers(1, 5), seed=st.integers(0)
)
def test_top_k_accuracy_equals_ignites(sizes, classes, k, seed):
    generator = torch.Generator().manual_seed(seed % 2**32)
    batches = [
        (torch.rand(n, classes, generator=generator), torch.randint(-1, classes + 1, (n,), generator=generator))
        for n in sizes
    ]
    assert_alike(lambda library: library.TopKCategoricalAccuracy(k), batches)


@settings(deadline=None, max_examples=40)
@given(
    name=st.sampled_from(["MeanSquaredError", "RootMeanSquaredError", "MeanAbsoluteError"]),
    sizes=st.lists(st.integers(1, 6), max_size=3),
    shape=st.lists(st.integers(1, 3), max_size=2),
    column=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_regression_errors_equal_ignites(name, sizes, shape, column, seed):
    generator = torch.Generator().manual_seed(seed)
    batches = [
        (torch.randn(n, *shape, generator=generator), torch.randn(n, *shape, *[1] * column, generator=generator))
        for n in sizes
    ]
    assert_alike(lambda library: getattr(library, name)(), batches)


@settings(deadline=None, max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 4), max_size=3),
    targets=st.lists(st.sampled_from([0, 1, 2]), min_size=2, max_size=2),
    dtypes=st.lists(st.sampled_from([torch.float32, torch.float32, torch.float64]), min_size=3, max_size=3),
    seed=st.integers(0, 2**32),
)
def test_epoch_metric_equals_ignites(sizes, targets, dtypes, seed):
    generator = torch.Generator().manual_seed(seed)

    def largest_error(y_pred, y):
        return (y_pred - y).abs().max().item()

    batches = [
        tuple(torch.randn(n, *[t] * bool(t), dtype=dtype, generator=generator) for t in targets)
        for n, dtype in zip(sizes, dtypes)
    ]
    assert_alike(lambda library: library.EpochMetric(largest_error), batches)


@pytest.mark.parametrize("form", [tuple, dict])
def test_loss_accepts_criterion_kwargs_like_ignite(form):
    y_pred, y, kwargs = torch.randn(4, 3), torch.tensor([0, 1, 2, 1]), {"label_smoothing": 0.3}
    given = (y_pred, y, kwargs) if form is tuple else {"y_pred": y_pred, "y": y, "criterion_kwargs": kwargs}
    seen = assert_run_alike(lambda library, engine: library.Loss(cross_entropy).attach(engine, "loss"), [given])
    assert seen == [{}, {"loss": pytest.approx(cross_entropy(y_pred, y, **kwargs).item())}]


# Expressions, and whole runs

OPERATIONS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"]
REVERSED_IN_IGNITE = ["add", "sub", "mul", "pow"]


def formulas(library: Any, operation: Any, other: Any, names: list[str]) -> Any:
    one, another = (getattr(library, name)() for name in names)
    given = {"metric": another}.get(other, other)
    return [operation(one, given), operation(given, one)]


@settings(deadline=None, max_examples=40)
@given(
    batches=batches_of_classes(),
    operation=st.sampled_from(REVERSED_IN_IGNITE),
    other=st.sampled_from(["metric", 2, 0.5, torch.tensor(3.0)]),
    reverse=st.booleans(),
)
def test_arithmetic_with_a_metric_number_or_tensor_equals_ignites(batches, operation, other, reverse):
    function = getattr(operator, operation)
    assert_alike(lambda library: formulas(library, function, other, ["Precision", "Recall"])[reverse], batches)


@settings(deadline=None, max_examples=40)
@given(batches=batches_of_classes(), operation=st.sampled_from(OPERATIONS), other=st.sampled_from([2, 0.5]))
def test_operators_items_and_tensor_methods_equal_ignites(batches, operation, other):
    def make(library):
        return getattr(operator, operation)(library.Precision(average=None), other)

    assert_alike(make, batches)
    assert_alike(lambda library: make(library)[0], batches)
    assert_alike(lambda library: make(library).mean(), batches)
    assert_alike(lambda library: make(library).sum(dim=0).item(), batches)


def history(library: Any, engine: Any, attach: Callable[[Any, Any], Any], outputs: list[Any], epochs: int) -> Any:
    """Return the metrics in the state after each iteration and epoch, and "error" at the end if the run raises."""
    events = engine.Events
    runner, seen = engine.Engine(lambda runner, batch: batch), []

    def note(runner):
        seen.append({name: as_lists(value) for name, value in runner.state.metrics.items()})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attach(library, runner)
        for event in (events.ITERATION_COMPLETED, events.EPOCH_COMPLETED):
            runner.add_event_handler(event, note)
        try:
            runner.run(outputs, max_epochs=epochs)
        except (RuntimeError, ValueError, TypeError):
            seen.append("error")
    return seen


def assert_run_alike(attach: Callable[[Any, Any], Any], outputs: list[Any], epochs: int = 1) -> Any:
    ours = history(metrics, fsm_engine, attach, outputs, epochs)
    theirs = history(ignite.metrics, ignite.engine, attach, outputs, epochs)
    assert ours == [seen if seen == "error" else pytest.approx(seen, rel=1e-5, abs=1e-7) for seen in theirs]
    return ours


USAGES = ["epoch_wise", "running_epoch_wise", "batch_wise", "running_batch_wise", "single_epoch_running_batch_wise"]


@settings(deadline=None, max_examples=40)
@given(
    outputs=st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=4),
    alpha=st.floats(0.1, 1),
    usage=st.sampled_from(USAGES),
    epoch_bound=st.sampled_from([None, True, False]),
    tensors=st.booleans(),
    epochs=st.integers(1, 3),
)
def test_running_average_of_outputs_equals_ignites(outputs, alpha, usage, epoch_bound, tensors, epochs):
    def attach(library, engine):
        average = library.RunningAverage(None, alpha, lambda output: output, epoch_bound)
        average.attach(engine, "average", usage)

    assert_run_alike(attach, [torch.tensor(value) if tensors else value for value in outputs], epochs)


@settings(deadline=None, max_examples=40)
@given(batches=batches_of_classes(), alpha=st.floats(0.1, 1), usage=st.sampled_from(USAGES), epochs=st.integers(1, 3))
def test_running_average_of_a_metric_equals_ignites(batches, alpha, usage, epochs):
    def attach(library, engine):
        library.RunningAverage(library.Accuracy(), alpha).attach(engine, "accuracy", usage)

    assert_run_alike(attach, batches, epochs)


@settings(deadline=None, max_examples=40)
@given(
    batches=batches_of_classes(),
    usage=st.sampled_from(USAGES),
    both=st.booleans(),
    epochs=st.integers(1, 2),
    filtered=st.one_of(
        st.none(), st.fixed_dictionaries({"every": st.integers(1, 3)}), st.fixed_dictionaries({"after": st.just(1)})
    ),
)
def test_attached_expression_equals_ignites(batches, usage, both, epochs, filtered):
    def attach(library, engine):
        precision, recall = library.Precision(average="micro"), library.Recall(average="macro")
        when = library.metric.BatchFiltered(**filtered) if filtered and library is ignite.metrics else usage
        when = library.BatchFiltered(**filtered) if filtered and library is metrics else when
        (precision * recall * 2 / (precision + recall + 1)).attach(engine, "formula", when)
        if both:
            precision.attach(engine, "precision", when)

    assert_run_alike(attach, batches, epochs)


@pytest.mark.parametrize("lists", [True, False])
def test_lists_of_tensors_are_unrolled_like_in_ignite(lists):
    y_pred, y = torch.rand(3, 4), torch.tensor([1, 0, 3])
    output = ([*y_pred], [*y]) if lists else (y_pred, y)
    seen = assert_run_alike(lambda library, engine: library.Accuracy().attach(engine, "accuracy"), [output, output])
    assert len(seen) == 3


def test_lists_of_different_lengths_raise_like_in_ignite():
    output = ([torch.rand(4)], [torch.tensor(1), torch.tensor(2)])
    seen = assert_run_alike(lambda library, engine: library.Accuracy().attach(engine, "accuracy"), [output])
    assert seen == ["error"]


WRONG = {
    "src": lambda library: library.RunningAverage("loss"),
    "alpha 0": lambda library: library.RunningAverage(library.Accuracy(), alpha=0),
    "alpha 2": lambda library: library.RunningAverage(library.Accuracy(), alpha=2),
    "neither": lambda library: library.RunningAverage(),
    "both": lambda library: library.RunningAverage(library.Accuracy(), output_transform=len),
    "device": lambda library: library.RunningAverage(library.Accuracy(), device="cpu"),
    "average": lambda library: library.Precision(average="all"),
    "beta": lambda library: library.Fbeta(0),
    "precision": lambda library: library.Fbeta(1, precision=library.Precision(average="macro")),
    "recall": lambda library: library.Fbeta(1, recall=library.Recall(average="macro")),
    "recall and device": lambda library: library.Fbeta(1, recall=library.Recall(), device="cpu"),
    "precision and transform": lambda library: library.Fbeta(1, precision=library.Precision(), output_transform=len),
    "compute_fn": lambda library: library.EpochMetric("roc"),
    "output_transform": lambda library: library.Accuracy(output_transform="loss"),
    "normalize": lambda library: library.ConfusionMatrix.normalize(torch.eye(2), "samples"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_invalid_arguments_raise_the_same_exception_type_as_ignite(wrong):
    with pytest.raises((TypeError, ValueError)) as theirs:
        WRONG[wrong](ignite.metrics)
    with pytest.raises(theirs.type):
        WRONG[wrong](metrics)
