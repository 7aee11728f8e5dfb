"""MosaicML Composer. Its trainer always runs the backward pass and the optimizer."""

from __future__ import annotations

from typing import Any

import torch

# user code
from composer import Trainer
from composer.models import ComposerModel

# end of user code


def train(model: Any, optimizer: Any, criterion: Any, loader: Any, epochs: int) -> None:
    """Train `model` in place."""

    # user code
    class Classifier(ComposerModel):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, batch: Any) -> Any:
            return self.model(batch[0])

        def loss(self, outputs: Any, batch: Any) -> Any:
            return criterion(outputs, batch[1])

    trainer = Trainer(
        model=Classifier(),
        train_dataloader=loader,
        optimizers=optimizer,
        max_duration=f"{epochs}ep",
        device="cpu",
        device_train_microbatch_size=64,
        progress_bar=False,
    )
    trainer.fit()
    # end of user code


class NoOp(ComposerModel):
    """A model whose output and loss are its only number."""

    def __init__(self) -> None:
        super().__init__()
        self.number = torch.nn.Parameter(torch.zeros(()))

    def forward(self, batch: Any) -> Any:
        """Return the number."""
        return self.number

    def loss(self, outputs: Any, batch: Any) -> Any:
        """Return the number."""
        return outputs


def no_op(loader: Any, epochs: int) -> None:
    """Call a step that does nothing but the backward pass of one number."""
    model = NoOp()
    trainer = Trainer(
        model=model,
        train_dataloader=loader,
        optimizers=torch.optim.SGD(model.parameters(), lr=0.1),
        max_duration=f"{epochs}ep",
        device="cpu",
        device_train_microbatch_size=64,
        progress_bar=False,
    )
    trainer.fit()
