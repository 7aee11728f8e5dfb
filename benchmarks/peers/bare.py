"""The bare loop: plain PyTorch."""

from __future__ import annotations

from typing import Any


def train(model: Any, optimizer: Any, criterion: Any, loader: Any, epochs: int) -> None:
    """Train `model` in place."""
    # user code
    model.train()
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            loss.item()
    # end of user code


def no_op(loader: Any, epochs: int) -> None:
    """Call a step that does nothing."""

    def step(_batch: Any) -> None:
        pass

    for _ in range(epochs):
        for batch in loader:
            step(batch)
