"""Functions that a supervised step calls and users may replace: their types and their defaults.

The defaults are functions of a module instead of lambdas, so that a step can be pickled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

from fsm_engine._util.plain_data import map_leaves
from fsm_engine.supervised.mistakes import raise_if_no_pair

Device = str | torch.device | None
PrepareBatch = Callable[..., tuple[Any, Any]]
ModelFunction = Callable[[Any, Any], Any]
LossFunction = Callable[[Any, Any], Any]

_MOVABLE: tuple[Any, ...] = (torch.Tensor, PackedSequence)


def prepare_pair(batch: Any, device: Device = None, non_blocking: bool = False) -> tuple[Any, Any]:
    """Unpack `batch` into (x, y), and move the tensors in both, nested ones included, to `device`.

    Raises:
        ValueError, TypeError: the batch is not a pair; the message describes it and names ``prepare_batch=``.
    """
    try:
        x, y = batch
    except (ValueError, TypeError) as error:
        raise_if_no_pair(batch, error)
        raise
    if device is None:
        return x, y
    return _move(x, device, non_blocking), _move(y, device, non_blocking)


def _move(value: Any, device: Device, non_blocking: bool) -> Any:
    def move_leaf(leaf: Any) -> Any:
        return leaf.to(device, non_blocking=non_blocking) if isinstance(leaf, _MOVABLE) else leaf

    return map_leaves(move_leaf, value, _is_packed)


def _is_packed(value: Any) -> bool:
    return isinstance(value, PackedSequence)  # a tuple, but it moves as a whole


def call_model(model: Any, x: Any) -> Any:
    """Return ``model(x)``."""
    return model(x)


def identity(y_pred: Any) -> Any:
    """Return `y_pred`."""
    return y_pred


def loss_output(_x: Any, _y: Any, _y_pred: Any, loss: torch.Tensor) -> float | torch.Tensor:
    """Return the loss: a float if it is on the CPU, otherwise a detached tensor."""
    # .item() of a tensor on another device would make the host wait for the device in every iteration.
    return loss.item() if loss.is_cpu else loss.detach()


def prediction_output(_x: Any, y: Any, y_pred: Any) -> tuple[Any, Any]:
    """Return (y_pred, y), which metrics take as their input."""
    return y_pred, y
