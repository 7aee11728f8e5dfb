"""The supervised steps compute the same as a loop written by hand, and call the given functions in order."""

from __future__ import annotations

import gc
import pickle
import weakref
from collections import OrderedDict, defaultdict, namedtuple
from typing import Any

import ignite.engine
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence
from torchmetrics.classification import MulticlassAccuracy

import fsm_engine
from fsm_engine import Engine, Events, supervised
from fsm_engine.metrics import Accuracy, Loss
from fsm_engine.supervised import (
    create_supervised_evaluator,
    create_supervised_trainer,
    supervised_evaluation_step,
    supervised_training_step,
)

Pair = namedtuple("Pair", "left right")


def parts_of_a_training():
    torch.manual_seed(7)
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))
    return model, torch.optim.Adam(model.parameters(), lr=0.01), nn.CrossEntropyLoss()


def batches(count=7, size=4):
    generator = torch.Generator().manual_seed(3)
    return [
        (torch.randn(size, 5, generator=generator), torch.randint(3, (size,), generator=generator))
        for _ in range(count)
    ]


def weights_of(model):
    return [parameter.tolist() for parameter in model.parameters()]


def losses_and_weights(library: Any, steps: int):
    model, optimizer, loss_fn = parts_of_a_training()
    trainer = library.create_supervised_trainer(model, optimizer, loss_fn, gradient_accumulation_steps=steps)
    losses: list[float] = []
    trainer.add_event_handler(library.Events.ITERATION_COMPLETED, lambda engine: losses.append(engine.state.output))
    trainer.run(batches(), max_epochs=2)
    return losses, weights_of(model)


# Training


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_losses_and_weights_equal_a_plain_loop_bit_by_bit(steps):
    model, optimizer, loss_fn = parts_of_a_training()
    losses = []
    for number, (x, y) in enumerate(batches() * 2):
        if number % steps == 0:
            optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        (loss / steps).backward()
        if (number + 1) % steps == 0:
            optimizer.step()
        losses.append(loss.item())

    assert losses_and_weights(fsm_engine, steps) == (losses, weights_of(model))


@pytest.mark.parametrize("steps", [1, 2, 4])  # others are rounded when pytorch-ignite scales the loss back
def test_losses_and_weights_equal_ignite_bit_by_bit(steps):
    assert losses_and_weights(fsm_engine, steps) == losses_and_weights(ignite.engine, steps)


class Calls:
    """A model, its loss and its optimizer in one object that records every call."""

    training = False

    def __init__(self) -> None:
        self.log: list[Any] = []

    def train(self) -> None:
        self.training = True
        self.log.append("train")

    def eval(self) -> None:
        self.training = False
        self.log.append("eval")

    def __call__(self, x):
        self.log.append(("model", x))
        return f"f({x})"

    def zero_grad(self) -> None:
        self.log.append("zero_grad")

    def step(self) -> None:
        self.log.append("step")

    def loss_fn(self, y_pred, y):
        self.log.append(("loss_fn", y_pred, y))
        return self

    def backward(self) -> None:
        self.log.append("backward")

    def __truediv__(self, steps):
        self.log.append(("divide", steps))
        return self


def test_without_accumulation_the_loss_is_not_divided_and_the_mode_is_set_once():
    calls = Calls()
    trainer = create_supervised_trainer(
        calls, calls, calls.loss_fn, output_transform=lambda x, y, y_pred, loss: calls.log.append((x, y, y_pred))
    )

    trainer.run([("x1", "y1"), ("x2", "y2")])

    first, second = (
        [
            "zero_grad",
            ("model", f"x{n}"),
            ("loss_fn", f"f(x{n})", f"y{n}"),
            "backward",
            "step",
            (f"x{n}", f"y{n}", f"f(x{n})"),
        ]
        for n in (1, 2)
    )
    assert calls.log == ["train", *first, *second]


def test_accumulation_zeroes_the_gradients_first_and_steps_in_the_last_iteration():
    calls = Calls()
    reported = []
    trainer = create_supervised_trainer(
        calls,
        calls,
        calls.loss_fn,
        output_transform=lambda x, y, y_pred, loss: reported.append(loss),
        gradient_accumulation_steps=2,
    )

    trainer.run([(1, 1)] * 3)

    work = [("model", 1), ("loss_fn", "f(1)", 1), ("divide", 2), "backward"]
    assert calls.log == ["train", "zero_grad", *work, *work, "step", "zero_grad", *work]
    assert reported == [calls, calls, calls]


@pytest.mark.parametrize("steps", [0, -2])
@pytest.mark.parametrize("make", [supervised_training_step, create_supervised_trainer])
def test_zero_or_negative_accumulation_steps_are_an_error(make, steps):
    with pytest.raises(ValueError, match=f"^Gradient_accumulation_steps must be strictly positive.*{steps}.*give 1"):
        make(*parts_of_a_training(), gradient_accumulation_steps=steps)


def test_a_submodule_in_evaluation_mode_stays_in_it_until_an_evaluator_has_run():
    model, optimizer, loss_fn = parts_of_a_training()
    trainer, evaluator = create_supervised_trainer(model, optimizer, loss_fn), create_supervised_evaluator(model)
    modes = []

    model[2].eval()
    for engine in (trainer, evaluator, trainer):
        engine.run(batches(2))
        modes.append([module.training for module in (model, *model)])

    assert modes == [[True, True, True, False, True], [False] * 5, [True] * 5]


@pytest.mark.parametrize("is_trained_wrapped", [True, False])
def test_a_wrapper_and_its_module_have_the_same_mode(is_trained_wrapped):
    model, optimizer, loss_fn = parts_of_a_training()
    trained, evaluated = (nn.DataParallel(model), model) if is_trained_wrapped else (model, nn.DataParallel(model))
    trainer, evaluator = create_supervised_trainer(trained, optimizer, loss_fn), create_supervised_evaluator(evaluated)
    modes = []
    for engine in (trainer, evaluator):
        engine.add_event_handler(
            Events.ITERATION_COMPLETED, lambda: modes.append({m.training for m in model.modules()})
        )

    for engine in (evaluator, trainer, evaluator, trainer):
        engine.run(batches(1))

    assert modes == [{False}, {True}, {False}, {True}]


def test_the_output_is_a_float_on_the_cpu():
    output = create_supervised_trainer(*parts_of_a_training()).run(batches(1)).output

    assert type(output) is float


def test_the_output_on_another_device_is_a_detached_tensor():
    model = nn.Linear(5, 3, device="meta")  # reading a value from this device raises
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss(), device="meta")

    output = trainer.run(batches(2)).output

    assert (output.device.type, output.requires_grad, output.shape) == ("meta", False, ())


# Both steps


@pytest.fixture(params=["training", "evaluation"])
def make_step(request):
    """Make a step of either kind; its output_transform is given (x, y, y_pred)."""

    def make(model, **options):
        output = options.pop("output_transform", lambda x, y, y_pred: (x, y, y_pred))
        if request.param == "evaluation":
            return supervised_evaluation_step(model, output_transform=output, **options)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return supervised_training_step(
            model, optimizer, lambda a, b: a.sum(), output_transform=lambda x, y, p, loss: output(x, y, p), **options
        )

    return make


def output_of(step, batch):
    return Engine(step).run([batch]).output


def test_without_a_device_the_batch_is_not_moved(make_step):
    x, y = torch.ones(2, 5), {"target": torch.ones(2)}

    output = output_of(make_step(nn.Linear(5, 1)), (x, y))

    assert output[0] is x
    assert output[1] is y


def test_nested_tensors_of_the_batch_are_moved_to_the_device_and_other_values_kept():
    def nested():
        return Pair(
            torch.ones(1),
            [
                (torch.ones(1), "text"),
                OrderedDict(a=torch.ones(1)),
                defaultdict(list, {"b": torch.ones(1), "c": 3}),
                None,
            ],
        )

    batch = (nested(), nested())
    step = supervised_evaluation_step(nn.Identity(), device="meta", output_transform=lambda x, y, y_pred: (x, y))

    for moved in output_of(step, batch):
        (inner, text), ordered, default, none = moved.right
        assert [type(moved), type(moved.right), type(ordered), type(default)] == [Pair, list, OrderedDict, defaultdict]
        assert [t.device.type for t in (moved.left, inner, ordered["a"], default["b"])] == ["meta"] * 4
        assert (text, default["c"], default.default_factory, none) == ("text", 3, list, None)
    assert batch[0].right[1]["a"].device.type == "cpu"


def test_a_packed_sequence_is_moved_as_a_whole():
    packed = pack_sequence([torch.ones(2)])
    step = supervised_evaluation_step(nn.Identity(), device="meta", output_transform=lambda x, y, y_pred: x)

    moved = output_of(step, (packed, None))

    assert (moved.data.device.type, moved.batch_sizes.device.type) == ("meta", "cpu")


def test_the_given_functions_are_called_in_order(make_step):
    log = []

    def recording(name, result):
        def function(*args, **kwargs):
            log.append((name, args, kwargs))
            return result

        return function

    model, y_pred = nn.Linear(1, 1), torch.ones(1, requires_grad=True)
    step = make_step(
        model,
        device="meta",
        non_blocking=True,
        prepare_batch=recording("prepare_batch", ("x", "y")),
        model_fn=recording("model_fn", "raw"),
        model_transform=recording("model_transform", y_pred),
        output_transform=recording("output_transform", "output"),
    )

    assert output_of(step, "batch") == "output"
    assert log == [
        ("prepare_batch", ("batch",), {"device": "meta", "non_blocking": True}),
        ("model_fn", (model, "x"), {}),
        ("model_transform", ("raw",), {}),
        ("output_transform", ("x", "y", y_pred), {}),
    ]


@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_a_torchscript_model_is_trained_and_evaluated():
    model, _, loss_fn = parts_of_a_training()
    (batch,) = batches(1)
    traced = torch.jit.trace(model[0], batch[0])
    trainer = create_supervised_trainer(traced, torch.optim.SGD(traced.parameters(), lr=0.1), loss_fn)
    evaluator = create_supervised_evaluator(traced)

    losses, modes = [], []
    for _ in range(2):
        losses.append(trainer.run([batch], max_epochs=1).output)
        modes.append(traced.training)
        evaluator.run([batch])
        modes.append(traced.training)

    assert losses[1] < losses[0]
    assert modes == [True, False, True, False]


def test_a_batch_on_another_device_than_the_model_is_an_error_of_torch(make_step):
    with pytest.raises(RuntimeError, match="meta"):
        output_of(make_step(nn.Linear(5, 1), device="meta"), (torch.ones(2, 5), None))


# Evaluation


def test_the_evaluation_step_runs_in_evaluation_mode_without_gradients():
    model = nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.5))
    seen = []

    def model_fn(model, x):
        seen.append((model.training, model[1].training, torch.is_grad_enabled()))
        return model(x)

    evaluator = create_supervised_evaluator(model, model_fn=model_fn)
    (batch,) = batches(1)
    y_pred, y = evaluator.run([batch]).output

    assert seen == [(False, False, False)]
    assert torch.equal(y_pred, model(batch[0]))
    assert y is batch[1]
    assert not y_pred.requires_grad


def test_the_evaluation_step_sets_the_mode_once():
    calls = Calls()
    calls.training = True

    create_supervised_evaluator(calls).run([(1, 1), (2, 2)])

    assert calls.log == ["eval", ("model", 1), ("model", 2)]


def test_metrics_of_this_package_and_of_torchmetrics_are_computed_under_their_names():
    model, _, loss_fn = parts_of_a_training()
    metrics = {"accuracy": Accuracy(), "loss": Loss(loss_fn), "theirs": MulticlassAccuracy(3, average="micro")}
    data = [*batches(3), *batches(1, size=2)]

    result = create_supervised_evaluator(model, metrics).run(data).metrics

    x, y = (torch.cat(parts) for parts in zip(*data, strict=True))
    accuracy = (model(x).argmax(1) == y).double().mean().item()
    assert result == {
        "accuracy": accuracy,
        "loss": pytest.approx(loss_fn(model(x), y).item()),
        "theirs": pytest.approx(accuracy),
    }


def test_an_object_that_is_not_a_metric_is_an_error_when_the_evaluator_is_made():
    with pytest.raises(TypeError, match="'accuracy' is not a metric"):
        create_supervised_evaluator(nn.Identity(), {"accuracy": "accuracy"})


# Around the steps


def test_a_pickled_trainer_resumes_where_it_was():
    def trained_to(epochs, pickled):
        torch.manual_seed(0)
        trainer = create_supervised_trainer(*parts_of_a_training())
        trainer.run(batches(), max_epochs=1)
        torch.manual_seed(1)
        if pickled:
            trainer = pickle.loads(pickle.dumps(trainer))
        return trainer.run(batches(), max_epochs=epochs).output

    assert trained_to(3, pickled=True) == trained_to(3, pickled=False)


def test_a_pickled_evaluator_computes_the_same_metrics():
    model, _, loss_fn = parts_of_a_training()
    evaluator = create_supervised_evaluator(model, {"accuracy": Accuracy(), "loss": Loss(loss_fn)})
    copy = pickle.loads(pickle.dumps(evaluator))

    assert copy.run(batches()).metrics == evaluator.run(batches()).metrics


def test_the_model_is_freed_with_its_last_reference():
    model, optimizer, loss_fn = parts_of_a_training()
    trainer = create_supervised_trainer(model, optimizer, loss_fn)
    evaluator = create_supervised_evaluator(model, {"accuracy": Accuracy()})
    trainer.run(batches(2))
    evaluator.run(batches(2))
    gone = weakref.ref(model)

    gc.disable()
    try:
        del model, optimizer, loss_fn, trainer, evaluator
        assert gone() is None
    finally:
        gc.enable()


def test_the_root_package_exports_the_factories():
    names = [name for name in fsm_engine.__all__ if "supervised" in name and hasattr(supervised, name)]

    assert [getattr(fsm_engine, name) for name in names] == [
        supervised.create_supervised_evaluator,
        supervised.create_supervised_trainer,
        supervised.supervised_evaluation_step,
        supervised.supervised_training_step,
    ]
