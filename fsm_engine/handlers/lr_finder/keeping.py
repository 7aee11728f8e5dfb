"""What has to be as it was after a run that was only a trial."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any

import torch

from fsm_engine._util.errors import BusyError
from fsm_engine.runtime.cursor import Cursor

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


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


@contextmanager
def set_aside(engine: Engine) -> Iterator[None]:
    """Let the next run of `engine` start from zero; after the block it stands where it stood, suspended or not.

    Inside the block it has a copy of its state; what that refers to is shared, but for dictionaries and lists.

    Raises:
        BusyError: while it runs.
    """
    if engine._running:
        raise BusyError(f"the engine is running, in {engine.phase}. Do this when its run has ended.")
    state, here, loaded = engine.state, engine._here, engine._loaded
    fired = {slot: slot.fired for slot in engine._slots.values()}
    engine.state, engine._here, engine._loaded = _fresh(state), Cursor(), False
    try:
        yield
    finally:
        engine.state, engine._here, engine._loaded = state, here, loaded
        for slot, count in fired.items():
            slot.fired = count
        engine._changed()


def _fresh(state: Any) -> Any:
    twin = copy.copy(state)
    for name, value in twin.attributes().items():
        if isinstance(value, (dict, list)):
            setattr(twin, name, copy.copy(value))
    twin.max_epochs = twin.max_iters = twin.epoch_length = None
    return twin
