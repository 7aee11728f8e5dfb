"""Train on digits with as many processes as `torchrun` starts, or with one.

    python examples/distributed.py                              # one process
    torchrun --nproc-per-node 2 examples/distributed.py         # two, which average their gradients

The batches of all processes together have 64 digits, and the order of the digits does not depend on the number of
processes. So the training is the same, up to the rounding of sums, and both commands print the same accuracy. On
Ctrl-C or ``kill``, all processes stop behind the same iteration.
"""

from __future__ import annotations

import argparse
import sys

import torch
from digits import small_digits
from torch import nn

import fsm_engine.distributed as dist
from fsm_engine import Engine, Events, create_supervised_evaluator, create_supervised_trainer
from fsm_engine.handlers import EarlyStopping, GracefulStop
from fsm_engine.metrics import Accuracy, Loss

GLOBAL_BATCH = 64


def main(arguments: list[str] | None = None) -> float:
    """Train, and return the accuracy on the held-out digits, which is equal in all processes."""
    parser = argparse.ArgumentParser(description="Train on digits with one or several processes.")
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)  # networks this small are faster on one thread
    with dist.session() as ranks:
        return train(ranks, args.epochs)


def train(ranks: dist.Session, epochs: int) -> float:
    """Train in one of the processes."""
    train_set, held_out = small_digits()
    share = GLOBAL_BATCH // ranks.world_size
    loader = ranks.loader(train_set, share, shuffle=True, drop_last=True)  # the last batch has another size
    validation = ranks.loader(held_out, share, pad=False)  # each digit once

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    model = dist.auto_model(net)  # DistributedDataParallel if there are several processes
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    loss_fn = nn.CrossEntropyLoss()
    trainer = create_supervised_trainer(model, optimizer, loss_fn, ranks.device)
    evaluator = create_supervised_evaluator(net, {"accuracy": Accuracy(), "loss": Loss(loss_fn)}, ranks.device)
    ranks.attach(trainer, evaluator)

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate() -> None:
        evaluator.run(validation)

    @trainer.on(Events.EPOCH_COMPLETED)
    @dist.rank_zero
    def log(engine: Engine) -> None:
        metrics = evaluator.state.metrics
        print(f"Epoch {engine.state.epoch}: held-out loss {metrics['loss']:.3f}, accuracy {metrics['accuracy']:.1%}")

    EarlyStopping(3, lambda engine: -engine.state.metrics["loss"], trainer).attach(evaluator)
    stop = GracefulStop().attach(trainer)
    trainer.run(loader, max_epochs=epochs)
    if stop.signal is not None:
        sys.exit(128 + stop.signal)

    accuracy = float(evaluator.state.metrics["accuracy"])
    if ranks.rank == 0:
        print(f"Processes: {ranks.world_size}, held-out accuracy: {accuracy:.4f}")
    return accuracy


if __name__ == "__main__":
    main()
