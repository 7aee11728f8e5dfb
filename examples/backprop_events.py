"""Custom events inside the training step: before and after the backward pass, and after the optimizer step.

A ResNet18 learns handwritten digits. Its step fires three custom events. Handlers read the gradients before the next
``zero_grad``, and a timer measures the backward passes alone. Run it with::

    python examples/backprop_events.py

Training on scikit-learn's 1,437 digits takes about 15 seconds on an idle CPU core, and longer on a busy one: a bar
shows the remaining time. The accuracy on 360 held-out digits is about 0.97. The last line is the path of a picture of
the run. To train on the real MNIST, add ``--data-dir`` with the directory that ``torchvision.datasets.MNIST`` wrote.
"""

from __future__ import annotations

import os
import sys

# Importing torch takes seconds, so this line comes before it.

if __name__ == "__main__" and not {"-h", "--help"} & set(sys.argv):
    print("A ResNet18 learns handwritten digits, and events show its backward passes. Importing torch ...", flush=True)

from collections.abc import Sequence
from pathlib import Path

import torch
from digits import arguments, cached_digits
from torch import nn
from torch.utils.data import DataLoader, Subset, random_split
from torchvision.datasets import MNIST
from torchvision.models import resnet18
from torchvision.transforms import Compose, Normalize, ToTensor

from fsm_engine import Engine, EventEnum, Events, create_supervised_evaluator
from fsm_engine.handlers import ProgressBar, Timer
from fsm_engine.metrics import Accuracy, Loss


class Net(nn.Module):
    """A ResNet18 for grayscale images of 28x28 pixels and ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.model = resnet18(num_classes=10)
        # ResNet18's stem is 7x7, for 224x224 pixels. Stride 2, as there, halves the training time of stride 1.
        self.model.conv1 = nn.Conv2d(1, 64, kernel_size=3, stride=2, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one logit per class: (batch, 10)."""
        return self.model(x)


class BackpropEvents(EventEnum):
    """Events that the training step fires."""

    BACKWARD_STARTED = "backward_started"
    BACKWARD_COMPLETED = "backward_completed"
    OPTIM_STEP_COMPLETED = "optim_step_completed"


def main(argv: Sequence[str] | None = None) -> float:
    """Train, print the events as they fire, and return the accuracy on the held-out digits."""
    parser = arguments(__doc__, epochs=3, batch_size=64)
    parser.add_argument("--picture", type=Path, default=Path("backprop_events.svg"), help="default: %(default)s")
    args = parser.parse_args(argv)
    torch.manual_seed(args.seed)
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))  # threads that wait for busy cores slow each other down
    device = torch.device(args.device)

    # One eighth of the training digits is used for validation.

    root = args.data_dir or cached_digits()
    data_transform = Compose([ToTensor(), Normalize((0.1307,), (0.3081,))])
    train_set, validation_set = random_split(MNIST(root=root, transform=data_transform, train=True), [0.875, 0.125])
    if args.samples:
        train_set = Subset(train_set, range(min(args.samples, len(train_set))))
    test_set = MNIST(root=root, transform=data_transform, train=False)

    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    validation_loader = DataLoader(validation_set, batch_size=args.batch_size)
    test_loader = DataLoader(test_set, batch_size=args.batch_size)
    print(f"{len(train_set)} digits to train on, {len(validation_set)} to validate, {len(test_set)} held out")

    model = Net().to(device)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.001)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    criterion = nn.CrossEntropyLoss()

    # The step fires custom events, so they are registered with the engine below.

    def train_step(engine: Engine, batch: Sequence[torch.Tensor]) -> float:
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

    # One bar for the whole run shows the remaining time. Its messages appear above it.

    bar = ProgressBar(desc="Training")
    bar.attach(trainer, output_transform=lambda loss: {"loss": loss}, closing_event_name=Events.COMPLETED)

    # Print every event of the first two iterations.

    @trainer.on(BackpropEvents.BACKWARD_STARTED(before=3))
    def function_before_backprop(engine: Engine) -> None:
        bar.log_message(f"Iter[{engine.state.iteration}] Function fired before backward pass")

    @trainer.on(BackpropEvents.BACKWARD_COMPLETED(before=3))
    def function_after_backprop(engine: Engine) -> None:
        bar.log_message(f"Iter[{engine.state.iteration}] Function fired after backward pass")

    @trainer.on(BackpropEvents.OPTIM_STEP_COMPLETED(before=3))
    def function_after_optimizer(engine: Engine) -> None:
        bar.log_message(f"Iter[{engine.state.iteration}] Function fired after optimizer step")

    # From the backward pass to the next zero_grad, the gradients are available.

    @trainer.on(BackpropEvents.BACKWARD_COMPLETED(every=10))
    def log_gradient(engine: Engine) -> None:
        norm = model.model.fc.weight.grad.norm()
        bar.log_message(f"Iter[{engine.state.iteration}] The last layer's gradient has norm {norm:.3f}")

    # Two timers per epoch: one for whole iterations, one for their backward passes. The second is paused at
    # EPOCH_STARTED, so it starts counting at the first BACKWARD_STARTED.

    iteration_timer = Timer(average=True).attach(
        trainer,
        start=Events.EPOCH_STARTED,
        pause=Events.EPOCH_COMPLETED,
        step=Events.ITERATION_COMPLETED,
    )
    backward_timer = Timer(average=True).attach(
        trainer,
        start=Events.EPOCH_STARTED,
        pause=Events.EPOCH_STARTED | BackpropEvents.BACKWARD_COMPLETED,
        resume=BackpropEvents.BACKWARD_STARTED,
        step=BackpropEvents.BACKWARD_COMPLETED,
    )

    # After every epoch, validate and lower the learning rate.

    evaluator = create_supervised_evaluator(model, metrics={"acc": Accuracy(), "nll": Loss(criterion)}, device=device)

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(engine: Engine) -> None:
        metrics = evaluator.run(validation_loader).metrics
        bar.log_message(
            f"Epoch {engine.state.epoch}/{engine.state.max_epochs}: "
            f"validation accuracy {metrics['acc']:.3f}, loss {metrics['nll']:.3f}, "
            f"{iteration_timer.value():.2f} s per iteration, {backward_timer.value():.2f} s of it backward"
        )

    @trainer.on(Events.EPOCH_COMPLETED)
    def lower_learning_rate() -> None:
        scheduler.step()

    with trainer.discover():  # finds where the step fires its events, so that the picture shows them
        trainer.run(train_loader, max_epochs=args.epochs)

    accuracy = evaluator.run(test_loader).metrics["acc"]
    print(f"Held-out accuracy: {accuracy:.3f}")
    print(f"Picture: {trainer.lifecycle.draw(args.picture)}")
    return accuracy


if __name__ == "__main__":
    main()
