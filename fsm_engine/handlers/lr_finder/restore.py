"""Context managers that restore the objects that a search changes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch


@contextmanager
def restored(objects: Iterable[Any], optimizer: Any) -> Iterator[None]:
    """Restore the states of `objects` and the gradients of the parameters of `optimizer` after the block."""
    with ExitStack() as stack:
        for thing in objects:
            stack.enter_context(_restored_state(thing))
        stack.enter_context(_restored_gradients(optimizer))
        yield


@contextmanager
def _restored_state(thing: Any) -> Iterator[None]:
    modes = {module: module.training for module in thing.modules()} if isinstance(thing, torch.nn.Module) else {}
    with tempfile.TemporaryFile() as file:
        torch.save(thing.state_dict(), file)
        try:
            yield
        finally:
            file.seek(0)
            thing.load_state_dict(torch.load(file, weights_only=False))  # safe: this process wrote the file
            for module, training in modes.items():
                module.training = training


@contextmanager
def _restored_gradients(optimizer: Any) -> Iterator[None]:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    before = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in zip(parameters, before):
            parameter.grad = gradient
