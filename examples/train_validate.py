"""Validation as a phase of training, with early stopping as an edge.

VALIDATE is a phase of the trainer's lifecycle; its activity is another engine. Early stopping is an edge with a guard
instead of a call of ``terminate()``, so the graph shows when a run ends. Run it with::

    python examples/train_validate.py

It trains on handwritten digits for a few seconds, and prints the epoch and the edge by which the run ended.
"""

from __future__ import annotations

import torch
from digits import small_digits
from torch import nn
from torch.utils.data import DataLoader

from fsm_engine import (
    Engine,
    EventEnum,
    Events,
    Lifecycle,
    Transition,
    create_supervised_evaluator,
    supervised_training_step,
)
from fsm_engine.metrics import Accuracy, Loss

PATIENCE, MAX_EPOCHS = 3, 60


class Validation(EventEnum):
    """The phase after an epoch."""

    VALIDATE = "validate"


def main() -> float:
    """Train until the validation loss stops improving, and return the validation accuracy of the best epoch."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # networks this small are faster on one thread
    train_set, validation_set = small_digits()
    train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
    validation_loader = DataLoader(validation_set, batch_size=360)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    loss_fn = nn.CrossEntropyLoss()
    evaluator = create_supervised_evaluator(model, {"accuracy": Accuracy(), "loss": Loss(loss_fn)})

    best = {"loss": float("inf"), "accuracy": 0.0, "epoch": 0}

    # VALIDATE takes over the exits of EPOCH_COMPLETED. The exit added here is tried before the exit without a guard.

    def no_improvement(engine: Engine) -> bool:
        return engine.state.epoch - best["epoch"] >= PATIENCE

    lifecycle = Lifecycle.training(supervised_training_step(model, optimizer, loss_fn))
    lifecycle.insert(Validation.VALIDATE, after=Events.EPOCH_COMPLETED, activity=evaluator, data=validation_loader)
    lifecycle.add_transition(Validation.VALIDATE >> Events.COMPLETED, guard=no_improvement, label="no_improvement")
    trainer = Engine(lifecycle=lifecycle)
    print("Exits of VALIDATE:")
    for transition in trainer.lifecycle.successors(Validation.VALIDATE):
        if transition.via is None:
            print(f"  {transition}")

    @evaluator.on(Events.COMPLETED)
    def compare(engine: Engine) -> None:
        metrics = engine.state.metrics
        if metrics["loss"] < best["loss"]:
            best.update(metrics, epoch=trainer.state.epoch)

    @trainer.on(Validation.VALIDATE >> Events.COMPLETED)
    def print_edge(engine: Engine, transition: Transition) -> None:
        print(f"Epoch {engine.state.epoch}: the run ended by the edge {transition}")

    trainer.run(train_loader, max_epochs=MAX_EPOCHS)
    print(f"Best epoch {best['epoch']:.0f}: validation accuracy {best['accuracy']:.3f}")
    return best["accuracy"]


if __name__ == "__main__":
    main()
