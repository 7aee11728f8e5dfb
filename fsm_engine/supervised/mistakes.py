"""Explanations of the errors of a supervised step: a batch that is not a pair, a loss per example, another device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

_FIX = (
    "Give prepare_batch=, a function that makes the pair: def prepare_batch(batch, device=None, non_blocking=False): "
    "return x, y"
)


def raise_if_no_pair(batch: Any, error: Exception) -> None:
    """Raise an exception of the type of `error` that describes `batch`, if `batch` could not be unpacked into (x, y).

    Raises:
        ValueError, TypeError: the batch is not a tuple or list of two items.
    """
    if type(error) in (ValueError, TypeError) and not _is_pair(batch):
        raise type(error)(f"{_description(batch)}, but a supervised step needs a pair (x, y). {_FIX}.") from error


def _is_pair(batch: Any) -> bool:
    return isinstance(batch, (tuple, list)) and len(batch) == 2


def _description(batch: Any) -> str:
    kind = type(batch).__name__
    if isinstance(batch, Mapping):
        return f"The batch is a {kind} with the keys {', '.join(map(repr, batch))}"
    if isinstance(batch, torch.Tensor):
        return f"The batch is one tensor of shape {tuple(batch.shape)}"
    return f"The batch is a {kind} of {len(batch)} items" if hasattr(batch, "__len__") else f"The batch is a {kind}"


def hint(state: Any, model: Any, device: Any, takes_pairs: bool, error: Exception) -> str | None:
    """Return the probable mistake behind the `error` of a step; None if there is no sign of one.

    Args:
        state: the state of the engine in the failed iteration.
        model: the model of the step.
        device: the device to which the step moves its batches; None if it leaves them.
        takes_pairs: whether the step unpacks its batches itself.
        error: the exception.
    """
    if "prepare_batch=" in str(error):
        return None  # `raise_if_no_pair` has described the batch
    if takes_pairs and isinstance(state.batch, (Mapping, torch.Tensor)):
        return f"{_description(state.batch)}, which a supervised step unpacks into (x, y) by iterating over it. {_FIX}."
    loss = getattr(state, "loss", None)
    if isinstance(loss, torch.Tensor) and loss.numel() != 1:
        return (
            f"loss_fn returned a tensor of shape {tuple(loss.shape)}, but a loss has one element. Use a loss that "
            f"averages over the batch, such as reduction='mean'."
        )
    return _device_hint(state.batch, model, device) if "device" in str(error) else None


def _device_hint(batch: Any, model: Any, device: Any) -> str | None:
    places = {parameter.device for parameter in model.parameters()} if isinstance(model, torch.nn.Module) else set()
    tensors = [part for part in batch if isinstance(part, torch.Tensor)] if _is_pair(batch) else []
    given = torch.device(device) if device is not None else tensors[0].device if tensors else None
    if len(places) != 1 or given is None or given.type == next(iter(places)).type:
        return None
    (place,) = places
    moved = f"are moved to {given}" if device is not None else f"are on {given}"
    return (
        f"The model is on {place}, but the batches {moved}. Move the model with model.to(device) before you make the "
        f"optimizer, and give the same device=."
    )
