"""What has to be as it was after a run that was only a trial."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    pass


@contextmanager
def kept(objects: Iterable[Any], optimizer: Any) -> Iterator[None]:
    """Give each of `objects` its state back after the block, and the parameters of `optimizer` their gradients."""
    with ExitStack() as stack:
        for thing in objects:
            stack.enter_context(_state_kept(thing))
        stack.enter_context(_gradients_kept(optimizer))
        yield


@contextmanager
def _state_kept(thing: Any) -> Iterator[None]:
    modes = {module: module.training for module in thing.modules()} if isinstance(thing, torch.nn.Module) else {}
    with tempfile.TemporaryFile() as file:
        torch.save(thing.state_dict(), file)
        try:
            yield
        finally:
            _give_back(thing, file)
            for module, training in modes.items():
                module.training = training


def _give_back(thing: Any, file: IO[bytes]) -> None:
    file.seek(0)
    thing.load_state_dict(torch.load(file, weights_only=False))  # our own, just written


@contextmanager
def _gradients_kept(optimizer: Any) -> Iterator[None]:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    before = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in zip(parameters, before):
            parameter.grad = gradient
