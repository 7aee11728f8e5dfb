"""The command ``demo``: train a small network on scikit-learn's digits with handlers on the phases of its step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fsm_engine._util.extras import import_extra
from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import Events
from fsm_engine.lifecycle.step_events import StepEvents

if TYPE_CHECKING:
    import torch
    from torch.utils.data import DataLoader

BATCH_SIZE = 64
_COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


@dataclass
class Digits:
    """1,797 handwritten digits of 8x8 pixels: batches for training, and 360 images that are held out."""

    loader: DataLoader[Any]
    images: torch.Tensor
    labels: torch.Tensor


def run(epochs: int, folder: Path) -> None:
    """Train for `epochs` epochs, print the accuracy on the held-out images, and draw the lifecycle into `folder`.

    Raises:
        ModuleNotFoundError: torch or scikit-learn is not installed; the message has the pip command.
    """
    typer.echo("A small network learns handwritten digits, with handlers on its step. Importing torch ...", err=True)
    torch = import_extra("torch", "examples", "the demo needs torch")
    load_digits = import_extra("sklearn.datasets", "examples", "the demo needs scikit-learn").load_digits
    from torch import nn

    from fsm_engine.supervised import create_supervised_trainer

    torch.manual_seed(0)
    torch.set_num_threads(1)  # a network this small is slower with more threads
    digits = _digits(load_digits)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss())
    with Progress(*_COLUMNS, console=Console(stderr=True)) as progress:
        _follow(trainer, progress, model, epochs * len(digits.loader))
        trainer.run(digits.loader, max_epochs=epochs)
    model.eval()
    with torch.no_grad():
        right = (model(digits.images).argmax(dim=1) == digits.labels).float().mean().item()
    state = trainer.state
    seconds = state.times[Events.COMPLETED.name]
    print(f"{state.epoch} epochs, {state.iteration} iterations, {seconds:.1f} s")
    print(f"Held-out accuracy: {right:.3f}")
    _draw(trainer, folder)


def _digits(load_digits: Any) -> Digits:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    x, y = load_digits(return_X_y=True)
    images, labels = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    held_out = torch.arange(len(labels)) % 5 == 0
    train_set = TensorDataset(images[~held_out], labels[~held_out])
    return Digits(DataLoader(train_set, batch_size=BATCH_SIZE, shuffle=True), images[held_out], labels[held_out])


def _follow(trainer: Engine, progress: Progress, model: torch.nn.Module, iterations: int) -> None:
    """Update `progress` from handlers on the phases of the step."""
    import torch

    task = progress.add_task("", total=iterations)

    @trainer.on(StepEvents.BACKWARD_COMPLETED)
    def describe(engine: Engine) -> None:
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0).item()
        state = engine.state
        progress.update(task, description=f"epoch {state.epoch}  loss {state.loss.item():.3f}  |gradient| {norm:.2f}")

    @trainer.on(Events.ITERATION_COMPLETED)
    def advance() -> None:
        progress.advance(task)


def _draw(trainer: Engine, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("lifecycle.svg", "lifecycle.html", "lifecycle.mmd"):
        typer.echo(f"Wrote {trainer.lifecycle.draw(folder / name)}", err=True)
