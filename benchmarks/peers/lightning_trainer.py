"""Lightning's Trainer, in the mode that its documentation has for measuring its overhead."""

from __future__ import annotations

from typing import Any

# user code
import lightning as L

# end of user code


def train(model: Any, optimizer: Any, criterion: Any, loader: Any, epochs: int) -> None:
    """Train `model` in place."""

    # user code
    class Classifier(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            x, y = batch
            return criterion(self.model(x), y)

        def configure_optimizers(self) -> Any:
            return optimizer

    trainer = L.Trainer(max_epochs=epochs, accelerator="cpu", devices=1, barebones=True)
    trainer.fit(Classifier(), loader)
    # end of user code


class NoOp(L.LightningModule):
    """A module whose step does nothing. With automatic optimization, Lightning needs a loss."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Do nothing."""

    def configure_optimizers(self) -> None:
        """Use no optimizer."""


def no_op(loader: Any, epochs: int) -> None:
    """Call a step that does nothing."""
    L.Trainer(max_epochs=epochs, accelerator="cpu", devices=1, barebones=True).fit(NoOp(), loader)
