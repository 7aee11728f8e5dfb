"""Copies of state dicts in the host's memory, which training may go on without touching."""

from __future__ import annotations

from typing import Any

import torch

from fsm_engine._util.plain_data import is_other_type, map_leaves


def host_copy(value: Any) -> Any:
    """Return plain data as a copy whose tensors are in the host's memory; tensors that share memory still do.

    An object that is not plain data is replaced by its ``copy()`` if it has that method, and is shared otherwise.
    """
    tensors: dict[Any, torch.Tensor] = {}

    def copied(leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor):
            return _copied_tensor(leaf, tensors)
        return leaf.copy() if hasattr(leaf, "copy") else leaf

    return map_leaves(copied, value, is_other_type)


def _copied_tensor(tensor: torch.Tensor, tensors: dict[Any, torch.Tensor]) -> torch.Tensor:
    if tensor.layout != torch.strided:
        return tensor.detach().to("cpu", copy=True)
    key = (tensor.device, tensor.dtype, tensor.data_ptr(), tensor.shape, tensor.stride())
    if key not in tensors or not tensor.numel():
        tensors[key] = tensor.detach().to("cpu", copy=True)
    return tensors[key]
