"""PyTorch-Ignite: `create_supervised_trainer`; for the step that does nothing, an `Engine`."""

from __future__ import annotations

from typing import Any

# user code
from ignite.engine import Engine, create_supervised_trainer

# end of user code


def train(model: Any, optimizer: Any, criterion: Any, loader: Any, epochs: int) -> None:
    """Train `model` in place."""
    # user code
    trainer = create_supervised_trainer(model, optimizer, criterion)
    trainer.run(loader, max_epochs=epochs)
    # end of user code


def no_op(loader: Any, epochs: int) -> None:
    """Call a step that does nothing."""
    Engine(lambda _engine, _batch: None).run(loader, max_epochs=epochs)
