"""Copies of state dicts in the host's memory, which training may go on without touching."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch


def host_copy(value: Any) -> Any:
    """Return plain data as a copy whose tensors are the host's own; tensors that are one memory stay one."""
    return _copied(value, {})


def _copied(value: Any, tensors: dict[Any, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return _copied_tensor(value, tensors)
    if type(value) in (dict, OrderedDict):
        copies = type(value)((key, _copied(part, tensors)) for key, part in value.items())
        vars_of = getattr(value, "__dict__", None)
        if vars_of:
            vars(copies).update(vars_of)  # the versions of a module's parts
        return copies
    if type(value) in (list, tuple):
        return type(value)(_copied(part, tensors) for part in value)
    return value.copy() if hasattr(value, "copy") else value


def _copied_tensor(tensor: torch.Tensor, tensors: dict[Any, torch.Tensor]) -> torch.Tensor:
    if tensor.layout != torch.strided:
        return tensor.detach().to("cpu", copy=True)
    key = (tensor.device, tensor.dtype, tensor.data_ptr(), tensor.shape, tensor.stride())
    if key not in tensors or not tensor.numel():
        tensors[key] = tensor.detach().to("cpu", copy=True)
    return tensors[key]
