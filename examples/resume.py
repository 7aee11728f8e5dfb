"""A job that can be killed and restarted at any time, and still ends with the same weights.

    python examples/resume.py checkpoints          # kill it at any time: Ctrl-C, kill, kill -9, power loss
    python examples/resume.py checkpoints          # the same command resumes

A checkpoint is written every 20 iterations. It holds the model, the optimizer, the learning rate schedule, the moving
average of the weights, early stopping, the state of the global RNGs (for dropout and the order of the batches), and the
position of the run in its lifecycle. On Ctrl-C and ``kill`` the job finishes the iteration, saves, and stops. After
``kill -9`` it repeats the iterations since the last checkpoint. The last line printed is a fingerprint of the weights.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import torch
from digits import small_digits
from torch import nn
from torch.utils.data import DataLoader

from fsm_engine import Engine, Events, create_supervised_evaluator, create_supervised_trainer
from fsm_engine.handlers import Checkpoint, CosineAnnealingScheduler, EarlyStopping, EMAHandler, GracefulStop
from fsm_engine.metrics import Accuracy, RunningAverage


def main(arguments: list[str] | None = None) -> str:
    """Start or resume training, and return the fingerprint of the weights, or "" if a signal stopped the run."""
    args = parse(arguments)
    torch.manual_seed(0)
    torch.set_num_threads(1)  # networks this small are faster on one thread
    train_set, held_out = small_digits()
    loader = DataLoader(train_set, batch_size=32, shuffle=True)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss())
    evaluator = create_supervised_evaluator(model, {"accuracy": Accuracy()})
    average = EMAHandler(model, momentum=0.02)
    average.attach(trainer)
    CosineAnnealingScheduler(optimizer, "lr", 3e-3, 3e-4, cycle_size=len(loader) * args.epochs).attach(trainer)
    RunningAverage(output_transform=float).attach(trainer, "loss")

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate(engine: Engine) -> None:
        evaluator.run(DataLoader(held_out, batch_size=360))
        loss, accuracy = engine.state.metrics["loss"], evaluator.state.metrics["accuracy"]
        print(f"Epoch {engine.state.epoch}: loss {loss:.4f}, accuracy {accuracy:.1%}", flush=True)

    patience = EarlyStopping(patience=5, score_function=lambda e: e.state.metrics["accuracy"], trainer=trainer)
    evaluator.add_event_handler(Events.COMPLETED, patience)

    to_save = {"model": model, "optimizer": optimizer, "trainer": trainer, "evaluator": evaluator}
    checkpoint = Checkpoint(to_save, args.folder, n_saved=2)
    trainer.add_event_handler(Events.ITERATION_COMPLETED(every=args.every), checkpoint)
    stop = GracefulStop(save=checkpoint).attach(trainer)

    found = checkpoint.resume()
    print(f"Resuming from {found.name}" if found else "Starting", flush=True)
    trainer.run(loader, max_epochs=args.epochs)
    if stop.signal is not None and trainer.outcome == "interrupted":
        print(f"{stop.signal.name} in iteration {trainer.state.iteration}: saved and stopped")
        return ""
    return fingerprint(model, average.ema_model)


def fingerprint(*models: nn.Module) -> str:
    """Print a hash of all weights, and return it."""
    weights = hashlib.sha256()
    for model in models:
        for parameter in model.parameters():
            weights.update(parameter.detach().numpy().tobytes())
    print(f"Weights: {weights.hexdigest()[:16]}")
    return weights.hexdigest()


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="A job that resumes where it was killed.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("checkpoints"), help="where to write checkpoints")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--every", type=int, default=20, help="iterations between checkpoints")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
