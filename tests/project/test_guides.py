"""The code of pytorch-ignite's public guides runs with only the imports changed."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchmetrics")

from torch import nn  # noqa: E402

from fsm_engine import (  # noqa: E402
    Engine,
    EventEnum,
    Events,
    create_supervised_evaluator,
    create_supervised_trainer,
)
from fsm_engine.handlers import BasicTimeProfiler, HandlersTimeProfiler, TerminateOnNan, Timer  # noqa: E402
from fsm_engine.metrics import Accuracy, Loss  # noqa: E402


def update_model(engine: Engine, batch: Any) -> Any:
    return batch


def loader(count: int) -> list[Any]:
    generator = torch.Generator().manual_seed(count)
    x = torch.randn(count, 4, 3, generator=generator)
    return [(batch, (batch.sum(dim=1) > 0).long()) for batch in x]


def supervised() -> tuple[nn.Module, Any, nn.Module]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    return model, torch.optim.SGD(model.parameters(), lr=0.1), nn.CrossEntropyLoss()


# Events and handlers


def test_attaching_handlers(capsys: pytest.CaptureFixture[str]) -> None:
    trainer = Engine(update_model)

    trainer.add_event_handler(Events.STARTED, lambda _: print("Start training"))

    @trainer.on(Events.STARTED)
    def on_training_started(engine):  # type: ignore[no-untyped-def]
        print("Another message of start training")

    @trainer.on(Events.STARTED)
    def on_training_started():  # type: ignore[no-untyped-def, no-redef]  # noqa: F811
        print("Another message of start training")

    mydata = [1, 2, 3, 4]

    def on_training_ended(data):  # type: ignore[no-untyped-def]
        print(f"Training is ended. mydata={data}")

    trainer.add_event_handler(Events.COMPLETED, on_training_ended, mydata)
    trainer.run([1])
    assert capsys.readouterr().out.splitlines() == [
        "Start training",
        "Another message of start training",
        "Another message of start training",
        "Training is ended. mydata=[1, 2, 3, 4]",
    ]


def test_one_evaluator_for_several_loaders(capsys: pytest.CaptureFixture[str]) -> None:
    model, optimizer, loss = supervised()
    train_loader, validation_loader, test_loader = loader(6), loader(3), loader(2)

    trainer = create_supervised_trainer(model, optimizer, loss)
    evaluator = create_supervised_evaluator(model, metrics={"acc": Accuracy()})

    def log_metrics(engine, title):  # type: ignore[no-untyped-def]
        print(f"Epoch: {trainer.state.epoch} - {title} accuracy: {engine.state.metrics['acc']:.2f}")

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate(trainer):  # type: ignore[no-untyped-def]
        with evaluator.add_event_handler(Events.COMPLETED, log_metrics, "train"):
            evaluator.run(train_loader)

        with evaluator.add_event_handler(Events.COMPLETED, log_metrics, "validation"):
            evaluator.run(validation_loader)

        with evaluator.add_event_handler(Events.COMPLETED, log_metrics, "test"):
            evaluator.run(test_loader)

    trainer.run(train_loader, max_epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(" ")[0] for line in lines] == [
        f"Epoch: {epoch} - {title} accuracy:" for epoch in (1, 2) for title in ("train", "validation", "test")
    ]
    assert {len(line.rpartition(" ")[2]) for line in lines} == {4}


def test_filters(capsys: pytest.CaptureFixture[str]) -> None:
    model, optimizer, loss = supervised()
    trainer = create_supervised_trainer(model, optimizer, loss)

    @trainer.on(Events.ITERATION_COMPLETED(every=50))
    def log_training_loss_every_50_iterations():  # type: ignore[no-untyped-def]
        print(f"{trainer.state.epoch} / {trainer.state.max_epochs} : {trainer.state.iteration}")
        assert isinstance(f"{trainer.state.output:.2f}", str)

    @trainer.on(Events.EPOCH_STARTED(once=25))
    def do_something_once_on_25_epoch():  # type: ignore[no-untyped-def]
        print("epoch 25")

    def custom_event_filter(engine, event):  # type: ignore[no-untyped-def]
        return event in [1, 2, 5, 10, 50, 100]

    @trainer.on(Events.ITERATION_STARTED(event_filter=custom_event_filter))
    def call_on_special_event(engine):  # type: ignore[no-untyped-def]
        print(f"special {engine.state.iteration}")

    trainer.run(loader(4), max_epochs=26)
    assert capsys.readouterr().out.splitlines() == [
        *[f"special {iteration}" for iteration in (1, 2, 5, 10, 50)],
        "13 / 26 : 50",
        *["epoch 25", "special 100", "25 / 26 : 100"],
    ]


class CustomEvents(EventEnum):
    CUSTOM_STARTED = "custom_started"
    CUSTOM_COMPLETED = "custom_completed"


def test_custom_events() -> None:
    engine = Engine(update_model)
    engine.register_events(*CustomEvents)
    called: list[int] = []

    @engine.on(CustomEvents.CUSTOM_STARTED)
    def call_on_custom_event(engine):  # type: ignore[no-untyped-def]
        called.append(engine.state.iteration)

    @engine.on(Events.STARTED)
    def fire_custom_events(engine):  # type: ignore[no-untyped-def]
        engine.fire_event(CustomEvents.CUSTOM_STARTED)

    engine.run([1, 2])
    assert called == [0]


@pytest.mark.parametrize("counted", ["by the engine", "by the user"])
def test_filters_on_custom_events(counted: str) -> None:
    def step(engine: Engine, batch: Any) -> None:
        if counted == "by the user":
            engine.state.custom_started += 1
        engine.fire_event(CustomEvents.CUSTOM_STARTED)

    engine = Engine(step)
    event_to_attr = {
        CustomEvents.CUSTOM_STARTED: "custom_started",
        CustomEvents.CUSTOM_COMPLETED: "custom_completed",
    }
    engine.register_events(*CustomEvents, event_to_attr=event_to_attr if counted == "by the user" else None)
    called: list[int] = []
    engine.add_event_handler(CustomEvents.CUSTOM_STARTED(every=5), lambda engine: called.append(engine.state.iteration))
    engine.run(range(12))
    assert called == [5, 10]


def test_terminate_on_nan() -> None:
    trainer = Engine(lambda engine, batch: batch)
    trainer.logger.disabled = False
    trainer.add_event_handler(Events.ITERATION_COMPLETED, TerminateOnNan())
    trainer.run([1.0, float("nan"), 2.0])
    assert (trainer.state.iteration, trainer.outcome) == (2, "terminated")


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard|torch")
def test_weights_go_to_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    monkeypatch.chdir(tmp_path)
    model, optimizer, loss = supervised()
    trainer = create_supervised_trainer(model, optimizer, loss)
    names = {"trainer": trainer, "model": model, "Events": Events}
    attach = """
        from fsm_engine.handlers.tensorboard_logger import *

        # Create a logger
        tb_logger = TensorboardLogger(log_dir="experiments/tb_logs")

        # Attach the logger to the trainer to log model's weights as a histogram after each epoch
        tb_logger.attach(
            trainer,
            event_name=Events.EPOCH_COMPLETED,
            log_handler=WeightsHistHandler(model)
        )
    """
    exec(textwrap.dedent(attach), names)  # a star is for modules only
    trainer.run(loader(2), max_epochs=3)
    names["tb_logger"].close()  # type: ignore[attr-defined]
    written = accumulator("experiments/tb_logs", {"histograms": 0}).Reload()
    found = {tag: [event.step for event in written.Histograms(tag)] for tag in written.Tags()["histograms"]}
    assert found == {"weights/weight": [1, 2, 3], "weights/bias": [1, 2, 3]}


# Custom events in the backward pass


class BackpropEvents(EventEnum):
    BACKWARD_STARTED = "backward_started"
    BACKWARD_COMPLETED = "backward_completed"
    OPTIM_STEP_COMPLETED = "optim_step_completed"


def backprop_step(model: nn.Module, optimizer: Any, criterion: Callable[[Any, Any], Any], device: Any) -> Any:
    def train_step(engine, batch):  # type: ignore[no-untyped-def]
        model.train()
        optimizer.zero_grad()
        x, y = batch[0].to(device), batch[1].to(device)
        y_pred = model(x)
        loss = criterion(y_pred, y)

        engine.fire_event(BackpropEvents.BACKWARD_STARTED)
        loss.backward()
        engine.fire_event(BackpropEvents.BACKWARD_COMPLETED)

        optimizer.step()
        engine.fire_event(BackpropEvents.OPTIM_STEP_COMPLETED)

        return loss.item()

    return train_step


def test_events_around_the_backward_pass(capsys: pytest.CaptureFixture[str]) -> None:
    model, optimizer, criterion = supervised()
    trainer = Engine(backprop_step(model, optimizer, criterion, torch.device("cpu")))
    trainer.register_events(*BackpropEvents)
    gradients: list[Any] = []

    @trainer.on(BackpropEvents.BACKWARD_STARTED)
    def before(engine):  # type: ignore[no-untyped-def]
        gradients.append(model.weight.grad is None)

    @trainer.on(BackpropEvents.BACKWARD_COMPLETED)
    def function_before_backprop(engine):  # type: ignore[no-untyped-def]
        gradients.append(model.weight.grad is None)
        print(f"Iter[{engine.state.iteration}] Function fired after backward pass")

    timer = Timer(average=True)
    timer.attach(trainer, step=Events.ITERATION_COMPLETED)
    trainer.run(loader(2), max_epochs=2)
    evaluator = create_supervised_evaluator(model, metrics={"acc": Accuracy(), "nll": Loss(criterion)})
    assert set(evaluator.run(loader(2)).metrics) == {"acc", "nll"}
    assert capsys.readouterr().out.splitlines() == [
        f"Iter[{iteration}] Function fired after backward pass" for iteration in (1, 2, 3, 4)
    ]
    assert gradients == [True, False] * 4
    assert timer.step_count == 4


def test_profiling_the_backward_pass(capsys: pytest.CaptureFixture[str]) -> None:
    trainer = Engine(backprop_step(*supervised(), torch.device("cpu")))
    trainer.register_events(*BackpropEvents)

    @trainer.on(BackpropEvents.BACKWARD_COMPLETED)
    def function_before_backprop(engine):  # type: ignore[no-untyped-def]
        pass

    basic, handlers = BasicTimeProfiler(), HandlersTimeProfiler()
    basic.attach(trainer)
    handlers.attach(trainer)

    @trainer.on(Events.EPOCH_COMPLETED)
    def log_intermediate_results():  # type: ignore[no-untyped-def]
        basic.print_results(basic.get_results())
        handlers.print_results(handlers.get_results())

    trainer.run(loader(2), max_epochs=2)
    rows = handlers.get_results()
    assert [(row[0].rpartition(".")[2], row[1]) for row in rows] == [
        ("log_intermediate_results", "EPOCH_COMPLETED"),
        ("function_before_backprop", "BACKWARD_COMPLETED"),
        *[("Total", ""), ("Processing", "None"), ("Dataflow", "None")],
    ]
    printed = capsys.readouterr().out
    assert (printed.count("Processing function:"), printed.count("Processing took total")) == (2, 2)
    assert "nan" not in printed


BACKPROP_GUIDE = """
import pandas as pd

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.models import resnet18
from torchvision.transforms import Compose, Normalize, ToTensor

from fsm_engine import Engine, EventEnum, Events, create_supervised_evaluator
from fsm_engine.metrics import Accuracy, Loss
from fsm_engine.handlers import Timer
from fsm_engine.handlers import BasicTimeProfiler, HandlersTimeProfiler

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()

        self.model = resnet18(num_classes=10)
        self.model.conv1 = nn.Conv2d(1, 64, kernel_size=3, padding=1, bias=False)

    def forward(self, x):
        return self.model(x)


model = Net().to(device)

data_transform = Compose([ToTensor(), Normalize((0.1307,), (0.3081,))])

train_loader = DataLoader(
    MNIST(download=True, root=".", transform=data_transform, train=True),
    batch_size=128,
    shuffle=True,
)

optimizer = torch.optim.RMSprop(model.parameters(), lr=0.005)
criterion = nn.CrossEntropyLoss()


class BackpropEvents(EventEnum):
    BACKWARD_STARTED = 'backward_started'
    BACKWARD_COMPLETED = 'backward_completed'
    OPTIM_STEP_COMPLETED = 'optim_step_completed'


def train_step(engine, batch):
    model.train()
    optimizer.zero_grad()
    x, y = batch[0].to(device), batch[1].to(device)
    y_pred = model(x)
    loss = criterion(y_pred, y)

    engine.fire_event(BackpropEvents.BACKWARD_STARTED)
    loss.backward()
    engine.fire_event(BackpropEvents.BACKWARD_COMPLETED)

    optimizer.step()
    engine.fire_event(BackpropEvents.OPTIM_STEP_COMPLETED)

    return loss.item()


trainer = Engine(train_step)

trainer.register_events(*BackpropEvents)


@trainer.on(BackpropEvents.BACKWARD_COMPLETED)
def function_before_backprop(engine):
    print(f"Iter[{engine.state.iteration}] Function fired after backward pass")


trainer.run(train_loader, max_epochs=3)
"""


@pytest.mark.slow
def test_the_whole_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for module in ("pandas", "torchvision", "sklearn"):
        pytest.importorskip(module)
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    from digits import write_mnist

    monkeypatch.chdir(tmp_path)
    images, labels = torch.randint(256, (12, 28, 28)), torch.arange(12) % 10
    write_mnist(".", images, labels, images, labels)  # instead of a download
    names: dict[str, Any] = {"__name__": "guide"}
    exec(BACKPROP_GUIDE, names)
    trainer = names["trainer"]
    assert capsys.readouterr().out.splitlines() == [
        f"Iter[{iteration}] Function fired after backward pass" for iteration in (1, 2, 3)
    ]
    assert (trainer.outcome, trainer.state.epoch, trainer.state.epoch_length) == ("completed", 3, 1)
