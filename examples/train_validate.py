"""One machine that trains and validates in turn, and stops when validation no longer gets better.

VALIDATE is a phase of the trainer's lifecycle, and its activity is another engine. Early stopping is an edge with a
guard: nobody calls ``terminate()``, and the graph shows when a run ends. Run it with::

    python examples/train_validate.py

It trains on handwritten digits for a few seconds, and prints where it stopped, and why.
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

PATIENCE, MOST = 3, 60


class Turns(EventEnum):
    """What comes after an epoch."""

    VALIDATE = "validate"


def main() -> float:
    """Train until it no longer helps, and return the accuracy in validation at its best."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # more would wait for each other, with networks as small as these
    train_set, validation_set = small_digits()
    train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
    validation_loader = DataLoader(validation_set, batch_size=360)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    loss_fn = nn.CrossEntropyLoss()
    evaluator = create_supervised_evaluator(model, {"accuracy": Accuracy(), "loss": Loss(loss_fn)})

    best = {"loss": float("inf"), "accuracy": 0.0, "epoch": 0}

    # VALIDATE takes over the exits of EPOCH_COMPLETED. The one that is added goes before the one without a guard.

    def no_longer_better(engine: Engine) -> bool:
        return engine.state.epoch - best["epoch"] >= PATIENCE

    lifecycle = Lifecycle.training(supervised_training_step(model, optimizer, loss_fn))
    lifecycle.insert(Turns.VALIDATE, after=Events.EPOCH_COMPLETED, activity=evaluator, data=validation_loader)
    lifecycle.add_transition(Turns.VALIDATE >> Events.COMPLETED, guard=no_longer_better, label="no_longer_better")
    trainer = Engine(lifecycle=lifecycle)
    print("The ways out of VALIDATE:")
    for transition in trainer.lifecycle.successors(Turns.VALIDATE):
        if transition.via is None:
            print(f"  {transition}")

    @evaluator.on(Events.COMPLETED)
    def compare(engine: Engine) -> None:
        metrics = engine.state.metrics
        if metrics["loss"] < best["loss"]:
            best.update(metrics, epoch=trainer.state.epoch)

    @trainer.on(Turns.VALIDATE >> Events.COMPLETED)
    def tell(engine: Engine, transition: Transition) -> None:
        print(f"Epoch {engine.state.epoch}: the run ended by the edge {transition}")

    trainer.run(train_loader, max_epochs=MOST)
    print(f"Best was epoch {best['epoch']:.0f}: validation accuracy {best['accuracy']:.3f}")
    return best["accuracy"]


if __name__ == "__main__":
    main()
