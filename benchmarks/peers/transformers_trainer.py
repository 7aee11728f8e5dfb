"""Hugging Face's Trainer on a plain PyTorch model: `compute_loss` and the loader are overridden.

Its default clips gradients, which the other peers do not, so clipping is off.
"""

from __future__ import annotations

import tempfile
from typing import Any

import torch

# user code
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import SaveStrategy

# end of user code


def train(model: Any, optimizer: Any, criterion: Any, loader: Any, epochs: int) -> None:
    """Train `model` in place."""
    with tempfile.TemporaryDirectory() as folder:
        # user code
        class Classifier(Trainer):
            def get_train_dataloader(self) -> Any:
                return loader

            def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_more: Any) -> Any:
                x, y = inputs
                return criterion(model(x), y)

        trainer = Classifier(
            model,
            TrainingArguments(
                folder,
                num_train_epochs=epochs,
                use_cpu=True,
                max_grad_norm=0,
                lr_scheduler_type="constant",
                logging_strategy="no",
                save_strategy=SaveStrategy.NO,
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=loader.dataset,
            optimizers=(optimizer, None),
        )
        trainer.train()
        # end of user code


class NoOp(Trainer):
    """A trainer whose step does nothing; the optimizer steps without gradients."""

    def training_step(self, model: Any, inputs: Any, *_more: Any) -> Any:
        """Return a loss."""
        return torch.zeros(())


def no_op(loader: Any, epochs: int) -> None:
    """Call a step that does nothing."""

    class Loaded(NoOp):
        def get_train_dataloader(self) -> Any:
            return loader

    model = torch.nn.Linear(1, 1)
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingArguments(
            folder,
            num_train_epochs=epochs,
            use_cpu=True,
            max_grad_norm=0,
            lr_scheduler_type="constant",
            logging_strategy="no",
            save_strategy=SaveStrategy.NO,
            report_to="none",
            disable_tqdm=True,
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        Loaded(model, options, train_dataset=loader.dataset, optimizers=(optimizer, None)).train()
