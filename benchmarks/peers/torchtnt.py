"""torchtnt: a `TrainUnit` and `train`."""

from __future__ import annotations

from typing import Any

# user code
from torchtnt.framework.state import State
from torchtnt.framework.train import train as tnt_train
from torchtnt.framework.unit import TrainUnit

# end of user code


def train(model: Any, optimizer: Any, criterion: Any, loader: Any, epochs: int) -> None:
    """Train `model` in place."""

    # user code
    class Classifier(TrainUnit[Any]):
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.optimizer = optimizer

        def train_step(self, state: State, data: Any) -> None:
            x, y = data
            self.optimizer.zero_grad()
            loss = criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            loss.item()

    tnt_train(Classifier(), loader, max_epochs=epochs)
    # end of user code


class NoOp(TrainUnit[Any]):
    """A unit whose step does nothing."""

    def train_step(self, state: State, data: Any) -> None:
        """Do nothing."""


def no_op(loader: Any, epochs: int) -> None:
    """Call a step that does nothing."""
    tnt_train(NoOp(), loader, max_epochs=epochs)
