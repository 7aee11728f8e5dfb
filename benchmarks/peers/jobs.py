"""The work that all peers do: a model, its optimizer, a loss and batches in a fixed order."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset

BATCH_SIZE = 64
NO_OP_BATCHES = 500
JOBS = ("no-op", "digits", "cnn")

Batch = tuple[torch.Tensor, torch.Tensor]


class Batches(Dataset[Batch]):
    """Batches in a fixed order, which read the clock whenever the last of them is fetched.

    Every peer fetches the last batch once per epoch, whatever else it does, so the time from one reading to the next is
    the time of an epoch.
    """

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches, self.last = batches, len(batches) - 1
        self.ended: list[float] = []

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        if index == self.last:
            self.ended.append(time.process_time())
        return self.batches[index]


@dataclass(frozen=True)
class Job:
    """Work for a peer.

    Attributes:
        make_model: makes the model, always with the same weights; None for a step that does nothing.
        batches: the data.
        epochs: the epochs that are timed in one turn.
    """

    make_model: Callable[[], nn.Module] | None
    batches: Sequence[Batch]
    epochs: int

    def call(self, peer: ModuleType) -> Run:
        """Return a run of `peer` on new objects; the first of its epochs is not timed."""
        data = Batches(self.batches)
        loader = DataLoader(data, batch_size=None)
        if self.make_model is None:
            return Run(functools.partial(peer.no_op, loader, self.epochs + 1), data, None)
        model = self.make_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        train = functools.partial(peer.train, model, optimizer, nn.CrossEntropyLoss(), loader, self.epochs + 1)
        return Run(train, data, model)

    def losses(self, model: nn.Module) -> list[float]:
        """Return the loss of `model` on each batch."""
        with torch.no_grad():
            return [nn.functional.cross_entropy(model(x), y).item() for x, y in self.batches]


@dataclass(frozen=True)
class Run:
    """A run of a peer that has not begun, its data, and the model that it trains."""

    train: Callable[[], Any]
    data: Batches
    model: nn.Module | None


def digits_mlp() -> nn.Module:
    """Return a network of two layers for digits of 64 pixels."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def small_cnn() -> nn.Module:
    """Return a network of two convolutions for digits of 8 by 8 pixels."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 2 * 2, 10),
    )


def digits(*shape: int) -> list[Batch]:
    """Return scikit-learn's digits in batches; each image has this shape."""
    data = load_digits()
    x = torch.tensor(data.data / 16, dtype=torch.float32).reshape(-1, *shape)
    return list(zip(x.split(BATCH_SIZE), torch.tensor(data.target).split(BATCH_SIZE), strict=True))


def make_job(name: str) -> Job:
    """Return the job called `name`: no-op, digits or cnn. Sets torch to one thread."""
    torch.set_num_threads(1)
    if name == "no-op":
        return Job(None, digits(64)[:1] * NO_OP_BATCHES, epochs=2)
    if name == "digits":
        return Job(digits_mlp, digits(64), epochs=4)
    return Job(small_cnn, digits(1, 8, 8), epochs=2)
