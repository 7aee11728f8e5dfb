"""Hugging Face Accelerate: a loop of the user's own."""

from __future__ import annotations

from typing import Any

# user code
from accelerate import Accelerator

# end of user code


def train(model: Any, optimizer: Any, criterion: Any, loader: Any, epochs: int) -> None:
    """Train `model` in place."""
    # user code
    accelerator = Accelerator(cpu=True)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    model.train()
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            accelerator.backward(loss)
            optimizer.step()
            loss.item()
    # end of user code


def no_op(loader: Any, epochs: int) -> None:
    """Call a step that does nothing."""

    def step(_batch: Any) -> None:
        pass

    loader = Accelerator(cpu=True).prepare(loader)
    for _ in range(epochs):
        for batch in loader:
            step(batch)
