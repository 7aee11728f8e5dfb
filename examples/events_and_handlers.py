"""Events and handlers: the events that an engine fires, and how to attach handlers to them.

A small network learns handwritten digits, and the handlers print the events as they fire. The code shows plain
handlers, filters, removing handlers, one evaluator for several data sets, built-in handlers, and custom events with two
ways to count them. Run it with::

    python examples/events_and_handlers.py

Training on scikit-learn's 1,437 digits takes about ten seconds on one CPU core. The last line is the accuracy on 360
held-out digits, about 0.98. To train on the real MNIST, add ``--data-dir`` with the directory that
``torchvision.datasets.MNIST`` wrote.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from digits import arguments, cached_digits
from torch import nn
from torch.utils.data import DataLoader, Subset, random_split
from torchvision.datasets import MNIST
from torchvision.transforms import Compose, Normalize, ToTensor

from fsm_engine import Engine, EventEnum, Events, create_supervised_evaluator, create_supervised_trainer
from fsm_engine.handlers import TerminateOnNan
from fsm_engine.metrics import Accuracy


class ValidationEvents(EventEnum):
    """Events fired after an epoch: whether its validation accuracy is the best so far."""

    IMPROVED = "improved"
    NOT_IMPROVED = "not_improved"


def main(argv: Sequence[str] | None = None) -> float:
    """Train, print the events as they fire, and return the accuracy on the held-out digits."""
    args = arguments(__doc__, epochs=10, batch_size=32).parse_args(argv)
    torch.manual_seed(args.seed)

    # One eighth of the training digits is used for validation.

    root = args.data_dir or cached_digits()
    transform = Compose([ToTensor(), Normalize((0.1307,), (0.3081,))])
    train_set, validation_set = random_split(MNIST(root=root, transform=transform, train=True), [0.875, 0.125])
    if args.samples:
        train_set = Subset(train_set, range(min(args.samples, len(train_set))))
    test_set = MNIST(root=root, transform=transform, train=False)

    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    validation_loader = DataLoader(validation_set, batch_size=args.batch_size)
    test_loader = DataLoader(test_set, batch_size=args.batch_size)
    print(f"{len(train_set)} digits to train on, {len(validation_set)} to validate, {len(test_set)} held out")

    model = nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 10),
    ).to(args.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
    trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss(), device=args.device)

    # 1. A handler is any callable. It may take the engine as its first argument.

    trainer.add_event_handler(Events.STARTED, lambda _: print("Start training"))

    @trainer.on(Events.STARTED)
    def on_training_started(engine: Engine) -> None:
        print(f"  for {engine.state.max_epochs} epochs of {engine.state.epoch_length} iterations")

    @trainer.on(Events.STARTED)
    def on_training_started_without_engine() -> None:
        print(f"  on {args.device}")

    # Arguments passed to add_event_handler are passed to every call of the handler.

    def on_training_ended(engine: Engine, data: Sequence[int], end: str) -> None:
        print(f"Training ended after {engine.state.iteration} iterations, data={data}{end}")

    trainer.add_event_handler(Events.COMPLETED, on_training_ended, [1, 2, 3, 4], end=".")

    # 2. Filters: every n-th time, once, or whenever a function of yours returns True.

    @trainer.on(Events.ITERATION_COMPLETED(every=50))
    def log_training_loss(engine: Engine) -> None:
        state = engine.state
        print(f"  {state.epoch} / {state.max_epochs} : {state.iteration} - loss: {state.output:.2f}")

    @trainer.on(Events.EPOCH_STARTED(once=2))
    def on_second_epoch() -> None:
        print("  (once) the second epoch starts")

    def doubled(_: Engine, iteration: int) -> bool:
        return iteration in (1, 2, 4, 8, 16)

    @trainer.on(Events.ITERATION_STARTED(event_filter=doubled))
    def call_on_special_iterations(engine: Engine) -> None:
        print(f"  (event_filter) iteration {engine.state.iteration} starts")

    # 3. Removing a handler: by handler and event, or with the handle that add_event_handler returns.

    @trainer.on(Events.EPOCH_STARTED)
    def never_called() -> None:
        print("  this is not printed")

    trainer.remove_event_handler(never_called, Events.EPOCH_STARTED)

    def only_in_the_first_epoch() -> None:
        print("  (removes itself) the first epoch is over")
        handle.remove()

    handle = trainer.add_event_handler(Events.EPOCH_COMPLETED, only_in_the_first_epoch)

    # 4. One evaluator for all data sets. As a context manager, the handle removes the handler when the block ends,
    # so each run prints its own title.

    evaluator = create_supervised_evaluator(model, metrics={"acc": Accuracy()}, device=args.device)

    def log_metrics(engine: Engine, title: str) -> None:
        print(f"Epoch: {trainer.state.epoch} - {title} accuracy: {engine.state.metrics['acc']:.3f}")

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate() -> None:
        with evaluator.add_event_handler(Events.COMPLETED, log_metrics, "train"):
            evaluator.run(train_loader)
        with evaluator.add_event_handler(Events.COMPLETED, log_metrics, "validation"):
            evaluator.run(validation_loader)

    # 5. Custom events. Filters work on them, because the engine counts how often each was fired.

    trainer.register_events(ValidationEvents.IMPROVED)

    @trainer.on(ValidationEvents.IMPROVED(once=1))
    def on_first_result() -> None:
        print("  (custom, once) the first result is the best so far")

    @trainer.on(ValidationEvents.IMPROVED(after=1))
    def on_improvement() -> None:
        print("  (custom, after) the best result so far")

    # With event_to_attr your code does the counting, in an attribute of the state. Here each improvement resets it to
    # zero, so every=3 means three epochs in a row.

    trainer.register_events(
        ValidationEvents.NOT_IMPROVED, event_to_attr={ValidationEvents.NOT_IMPROVED: "epochs_without_improvement"}
    )

    @trainer.on(ValidationEvents.NOT_IMPROVED)
    def on_no_improvement(engine: Engine) -> None:
        print(f"  (custom) no improvement in a row: {engine.state.epochs_without_improvement}")

    @trainer.on(ValidationEvents.NOT_IMPROVED(every=3))
    def lower_learning_rate() -> None:
        print("  (custom, every) learning rate halved")
        for group in optimizer.param_groups:
            group["lr"] /= 2

    best = 0.0

    @trainer.on(Events.EPOCH_COMPLETED)
    def compare_with_best(engine: Engine) -> None:
        nonlocal best
        accuracy = evaluator.state.metrics["acc"]  # from the evaluator's last run, on the validation data
        if accuracy > best:
            best = accuracy
            engine.state.epochs_without_improvement = 0
            engine.fire_event(ValidationEvents.IMPROVED)
        else:
            engine.state.epochs_without_improvement += 1
            engine.fire_event(ValidationEvents.NOT_IMPROVED)

    # 6. Built-in handlers are attached in the same way. TerminateOnNan ends a run when the step's output is NaN or
    # infinite, shown here with a step that returns its batch.

    trainer.add_event_handler(Events.ITERATION_COMPLETED, TerminateOnNan())

    diverging = Engine(lambda _, loss: loss)
    diverging.add_event_handler(Events.ITERATION_COMPLETED, TerminateOnNan())
    state = diverging.run([0.5, 0.7, float("nan"), 0.2])
    print(f"TerminateOnNan: {diverging.outcome} in iteration {state.iteration} of the outputs 0.5, 0.7, nan, 0.2")

    trainer.run(train_loader, max_epochs=args.epochs)

    with evaluator.add_event_handler(Events.COMPLETED, log_metrics, "test"):
        evaluator.run(test_loader)
    accuracy = evaluator.state.metrics["acc"]
    print(f"Held-out accuracy: {accuracy:.3f}")
    return accuracy


if __name__ == "__main__":
    main()
