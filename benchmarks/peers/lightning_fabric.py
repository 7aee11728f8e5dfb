"""Lightning Fabric: a loop of the user's own."""

from __future__ import annotations

from typing import Any

# user code
from lightning.fabric import Fabric

# end of user code


def train(model: Any, optimizer: Any, criterion: Any, loader: Any, epochs: int) -> None:
    """Train `model` in place."""
    # user code
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    model, optimizer = fabric.setup(model, optimizer)
    loader = fabric.setup_dataloaders(loader)
    model.train()
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            fabric.backward(loss)
            optimizer.step()
            loss.item()
    # end of user code


def no_op(loader: Any, epochs: int) -> None:
    """Call a step that does nothing."""

    def step(_batch: Any) -> None:
        pass

    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    loader = fabric.setup_dataloaders(loader)
    for _ in range(epochs):
        for batch in loader:
            step(batch)
