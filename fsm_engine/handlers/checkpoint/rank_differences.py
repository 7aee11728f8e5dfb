"""The differences between the state of one rank and the state of another rank.

The ranks of a training with averaged gradients have equal weights, and different random numbers, positions in the data
and metrics. A file holds the state of one rank, and the differences of the others. A rank finds its differences by an
outline of the other state, which has a hash in place of each value, so equal weights are not sent.
"""

from __future__ import annotations

import ctypes
import hashlib
import pickle
import uuid
from collections.abc import Mapping
from typing import Any

import torch

from fsm_engine._util.plain_data import map_leaves

_ROW = 1024
_LARGE = 2**16
"""The bytes from which a tensor is hashed by its sums, on its device."""


def outline(state: Any) -> Any:
    """Return plain data of the form of `state`: its dictionaries with a hash in place of each other value."""
    if isinstance(state, dict):
        return {key: outline(item) for key, item in state.items()}
    hashed = map_leaves(lambda leaf: _tensor_hash(leaf) if isinstance(leaf, torch.Tensor) else leaf, state)
    try:
        return hashlib.sha256(pickle.dumps(hashed)).hexdigest()
    except Exception:  # it is not plain data, and is refused where it is sent
        return uuid.uuid4().hex


def difference(state: Any, other: Any) -> dict[str, Any] | None:
    """Return how `state` differs from the state with the outline `other`; None if it does not.

    The result is plain data: ``{"value": state}``, or ``{"items": {key: difference}}`` if only these items differ.
    """
    if not (isinstance(state, dict) and isinstance(other, dict) and state.keys() == other.keys()):
        return None if outline(state) == other else {"value": state}
    items = {key: part for key, item in state.items() if (part := difference(item, other[key])) is not None}
    return {"items": items} if items else None


def apply_difference(other: Any, given: Mapping[str, Any] | None) -> Any:
    """Return the state whose `difference` from `other` is `given`. It shares the equal parts with `other`."""
    if given is None:
        return other
    if "value" in given:
        return given["value"]
    changed = other.copy()
    for key, part in given["items"].items():
        changed[key] = apply_difference(other[key], part)
    return changed


def _tensor_hash(tensor: torch.Tensor) -> str:
    """Return a hash of the type, shape and bits of a tensor.

    The hash of a large tensor is made from the sums of the rows and columns of its bits as a matrix, so only these are
    copied from its device.
    """
    tensor = tensor.detach()
    about = f"{tensor.dtype} {tuple(tensor.shape)} {tensor.layout} {tensor.requires_grad}"
    digest = hashlib.sha256(about.encode())
    if tensor.layout != torch.strided or tensor.is_quantized:
        digest.update(pickle.dumps(tensor.cpu()))
        return digest.hexdigest()
    bits = tensor.resolve_conj().resolve_neg().contiguous().flatten().view(torch.uint8)
    whole = bits.numel() // (8 * _ROW) * (8 * _ROW) if bits.numel() >= _LARGE else 0
    if whole:
        bits = bits.clone() if bits.storage_offset() % 8 else bits  # for the view
        rows = bits[:whole].view(torch.int64).view(-1, _ROW)
        for sums in (rows.sum(0), rows.sum(1)):
            digest.update(_bytes(sums))
    digest.update(_bytes(bits[whole:]))
    return digest.hexdigest()


def _bytes(tensor: torch.Tensor) -> bytes:
    host = tensor.cpu()
    return ctypes.string_at(host.data_ptr(), host.nbytes) if host.nbytes else b""
