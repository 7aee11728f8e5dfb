"""Tensors of which each rank has a part, such as the parameters of `torch.distributed.fsdp.fully_shard`.

A checkpoint has them apart from the rest of a state: ranks write their parts through `torch.distributed.checkpoint`,
and the state has None in their places. A table in the checkpoint says which tensor belongs to which place.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine._util.plain_data import find, items_of, map_leaves

if TYPE_CHECKING:
    from fsm_engine.handlers.checkpoint.shards import ShardsReader

TABLE = "sharded_tensors"
"""The key of a checkpoint under which it has the table."""

Path = tuple[Any, ...]
"""The keys that lead to a part of a state."""


@dataclass(frozen=True, eq=False)
class ShardedValue:
    """A sharded tensor of a checkpoint that has not been read yet.

    Attributes:
        name: its name among the sharded tensors of the checkpoint.
        shape: the shape of the whole tensor.
        dtype: the type of its numbers.
        placements: per dimension of the ranks, the dimension that is divided among them; None if they had copies.
        reader: reads it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    placements: tuple[int | None, ...]
    reader: ShardsReader

    def like(self, own: Any) -> torch.Tensor:
        """Return an uninitialized tensor on the CPU to read the value into.

        It is divided among the ranks as `own` is. If `own` is a sharded tensor of another shape, it is divided as it
        was when it was saved. If `own` is not a sharded tensor, the result is a whole tensor.
        """
        if not is_sharded(own):
            return torch.empty(self.shape, dtype=self.dtype)
        if tuple(own.shape) == self.shape:
            return torch.empty_like(own.detach(), dtype=self.dtype, device="cpu", requires_grad=False)
        from torch.distributed import tensor as distributed

        dims = self.placements if len(self.placements) == own.device_mesh.ndim else [None] * own.device_mesh.ndim
        placements = [distributed.Replicate() if dim is None else distributed.Shard(dim) for dim in dims]
        options: dict[str, Any] = {"dtype": self.dtype, "device_mesh": own.device_mesh, "placements": placements}
        return distributed.empty(*self.shape, **options).to("cpu")


def is_sharded(value: Any) -> bool:
    """Return True if this rank has a part of the tensor `value`, a `torch.distributed.tensor.DTensor`."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(value, module.DTensor)


def split(state: Any) -> tuple[Any, dict[str, Any]]:
    """Return a copy of `state` with a table of its sharded tensors and None in their places, and the tensors by name.

    A state without sharded tensors is returned as it is.

    Raises:
        ValueError: `state` has an item of the name that the table needs.
        TypeError: a tensor is not divided, but has to be summed over ranks.
    """
    if find(is_sharded, state) is None:
        return state, {}
    if TABLE in state:
        raise ValueError(f"to_save has an object named {TABLE!r}, which holds the table of tensors. Rename it.")
    tensors: dict[str, Any] = {}
    table: dict[str, Any] = {}
    for path, tensor in _sharded_in(state, ()):
        name = _unused(".".join(map(str, path)), tensors)
        tensors[name] = tensor.detach()
        table[name] = {
            "path": list(path),
            "shape": tuple(tensor.shape),
            "dtype": tensor.dtype,
            "placements": tuple(_divided_dimension(placement, name) for placement in tensor.placements),
        }
    rest = map_leaves(lambda leaf: None if is_sharded(leaf) else leaf, state)
    rest[TABLE] = table
    return rest, tensors


def copies_on_host(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return copies of the parts of this rank in the host's memory."""
    return {name: tensor.to("cpu", copy=True) for name, tensor in tensors.items()}


def join(state: Any) -> Any:
    """Return a copy of a checkpoint with a `ShardedValue` in the place of each tensor in its table.

    Raises:
        ValueError: the checkpoint is the content of a file in the folder of a checkpoint.
    """
    if not isinstance(state, Mapping) or TABLE not in state:
        return state
    reader = state[TABLE]
    if isinstance(reader, Mapping):
        raise ValueError("the checkpoint has only the table of its sharded tensors. Give the path of its folder.")
    state = copy.copy(state)  # with its attributes
    del state[TABLE]
    places: dict[Any, Any] = {}
    for name, entry in reader.table.items():
        *parents, last = entry["path"]
        node = places
        for key in parents:
            node = node.setdefault(key, {})
        node[last] = ShardedValue(name, tuple(entry["shape"]), entry["dtype"], tuple(entry["placements"]), reader)
    return _replaced(state, places)


def read_into(states: list[tuple[Any, Any]]) -> list[Any]:
    """Return the states with tensors in the places of each `ShardedValue`.

    Args:
        states: each state, and the object's own state, whose tensors say how the new ones are divided among ranks. A
            tensor in place of a mapping stands for all tensors in it.

    Raises:
        BadFileError: a file is not as it was written.
        OSError: a file cannot be read.
    """
    values: dict[str, tuple[ShardedValue, torch.Tensor]] = {}
    filled = [_filled(state, own, values) for state, own in states]
    if values:
        reader = next(iter(values.values()))[0].reader
        reader.read({name: tensor for name, (_, tensor) in values.items()})
    return filled


def has_sharded_values(state: Any) -> bool:
    """Return True if `state` has a `ShardedValue`."""
    return find(lambda node: isinstance(node, ShardedValue), state) is not None


def _sharded_in(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if is_sharded(node):
        yield path, node
    for key, part in items_of(node) or ():
        yield from _sharded_in(part, (*path, key))


def _unused(name: str, names: Mapping[str, Any]) -> str:
    number, unused = 1, name
    while unused in names:
        number += 1
        unused = f"{name} ({number})"
    return unused


def _divided_dimension(placement: Any, name: str) -> int | None:
    if placement.is_partial():
        raise TypeError(f"the tensor {name!r} has not been summed over ranks yet. Save it after redistribute().")
    return getattr(placement, "dim", None)


def _replaced(node: Any, places: Any) -> Any:
    """Return a copy of `node` with the leaves of the nested dict `places` in their places."""
    if not isinstance(places, dict):
        return places
    return _with_parts(node, {key: _replaced(node[key], part) for key, part in places.items()})


def _filled(node: Any, own: Any, values: dict[str, tuple[ShardedValue, torch.Tensor]]) -> Any:
    if isinstance(node, ShardedValue):
        if node.name not in values:
            values[node.name] = node, node.like(own)
        return values[node.name][1]
    if not has_sharded_values(node):
        return node
    return _with_parts(node, {key: _filled(part, _part(own, key), values) for key, part in items_of(node) or ()})


def _with_parts(node: Any, parts: Mapping[Any, Any]) -> Any:
    if isinstance(node, (list, tuple)):
        return type(node)(parts.get(key, part) for key, part in enumerate(node))
    changed = copy.copy(node)  # with its attributes: torch keeps the versions of modules in one
    changed.update(parts)
    return changed


def _part(own: Any, key: Any) -> Any:
    if isinstance(own, torch.Tensor):
        return own
    if isinstance(own, Mapping):
        return own.get(key)
    return own[key] if isinstance(own, (list, tuple)) and key < len(own) else None
