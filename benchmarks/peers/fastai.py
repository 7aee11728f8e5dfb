"""fastai on a plain PyTorch loader, without validation."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

# user code
from fastai.basics import Callback, CancelBatchException, CancelValidException, DataLoaders, Learner, OptimWrapper

# end of user code


# user code
class SkipValidation(Callback):
    """Skips the validation of every epoch."""

    def before_validate(self) -> None:
        """Cancel the validation."""
        raise CancelValidException


# end of user code


def train(model: Any, optimizer: Any, criterion: Any, loader: Any, epochs: int) -> None:
    """Train `model` in place."""
    # user code
    learner = Learner(
        DataLoaders(loader, loader),
        model,
        loss_func=criterion,
        opt_func=partial(OptimWrapper, opt=torch.optim.SGD),
        lr=0.1,
        cbs=SkipValidation(),
    )
    with learner.no_logging():
        learner.fit(epochs)
    # end of user code


class NoOp(Callback):
    """Cancels every batch before its step."""

    def before_batch(self) -> None:
        """Cancel the batch."""
        raise CancelBatchException


def no_op(loader: Any, epochs: int) -> None:
    """Call a step that does nothing: a callback cancels it, as the documentation says."""
    learner = Learner(
        DataLoaders(loader, loader),
        torch.nn.Linear(1, 1),
        loss_func=torch.nn.MSELoss(),
        opt_func=partial(OptimWrapper, opt=torch.optim.SGD),
        cbs=[SkipValidation(), NoOp()],
    )
    with learner.no_logging():
        learner.fit(epochs, 0.1)
