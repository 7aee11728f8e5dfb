"""Collective operations on tensors and other values, by the names of ``ignite.distributed``.

In a single process they return the value at once. All ranks of a group must call them in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
import torch.distributed as c10d

from fsm_engine.distributed.world import device, get_local_rank, get_rank, get_world_size
from fsm_engine.timeline.collective_calls import collective_call

P = ParamSpec("P")
R = TypeVar("R")


def all_reduce(tensor: Any, op: str = "SUM", group: Any = None) -> Any:
    """Return a tensor or a number reduced over all ranks. A tensor is changed in place.

    Args:
        tensor: the tensor or the number of this rank.
        op: "SUM", "MIN", "MAX", "PRODUCT", or another name of `torch.distributed.ReduceOp`.
        group: the group or the list of ranks; all ranks by default.

    Raises:
        ValueError: there is no such operation.
        TypeError: the value is neither a tensor nor a number.

    Example:
        >>> all_reduce(3), all_reduce(torch.tensor(2.0), "MAX")
        (3, tensor(2.))
    """
    operation = getattr(c10d.ReduceOp, op, None)
    if operation is None:
        raise ValueError(f"Unsupported reduction operation: {op!r}. Use 'SUM', 'MIN', 'MAX' or 'PRODUCT'.")
    if get_world_size() == 1:
        return tensor
    if isinstance(tensor, torch.Tensor):
        with collective_call("all_reduce"):
            c10d.all_reduce(tensor, operation, group=_group(group))
        return tensor
    if not isinstance(tensor, (int, float)):
        raise TypeError(f"all_reduce() takes a tensor or a number, got {tensor!r}.")
    values = torch.tensor([tensor], device=device(), dtype=None if isinstance(tensor, int) else torch.float64)
    with collective_call("all_reduce"):
        c10d.all_reduce(values, operation, group=_group(group))
    return values.item()


def all_gather(tensor: Any, group: Any = None) -> Any:
    """Return the tensors of all ranks, concatenated along their first dimension; other values as a list.

    The tensors have the same shape. Other values are pickled.

    Example:
        >>> all_gather(torch.tensor([1.0])), all_gather("any value")
        (tensor([1.]), ['any value'])
    """
    if get_world_size() == 1:
        return tensor if isinstance(tensor, torch.Tensor) else [tensor]
    group = _group(group)
    if isinstance(tensor, torch.Tensor):
        tensor = tensor.unsqueeze(0) if tensor.ndimension() == 0 else tensor
        gathered = [torch.zeros_like(tensor) for _ in range(c10d.get_world_size(group))]
        with collective_call("all_gather"):
            c10d.all_gather(gathered, tensor.contiguous(), group=group)
        return torch.cat(gathered)
    values: list[Any] = [None] * c10d.get_world_size(group)
    with collective_call("all_gather"):
        c10d.all_gather_object(values, tensor, group=group)
    return values


def all_gather_tensors_with_shapes(
    tensor: torch.Tensor, shapes: Sequence[Sequence[int]], group: Any = None
) -> list[torch.Tensor]:
    """Return the tensors of all ranks, which differ in their shapes.

    Args:
        tensor: the tensor of this rank.
        shapes: per rank, the shape of its tensor.
        group: the group or the list of ranks; all ranks by default.

    Example:
        >>> all_gather_tensors_with_shapes(torch.ones(2), [[2]])
        [tensor([1., 1.])]
    """
    if get_world_size() == 1:
        return [tensor]
    size = max(torch.Size(shape).numel() for shape in shapes)
    padded = torch.nn.functional.pad(tensor.flatten(), (0, size - tensor.numel()))
    rows = all_gather(padded.unsqueeze(0), group)
    return [row[: torch.Size(shape).numel()].reshape(tuple(shape)) for row, shape in zip(rows, shapes)]


def broadcast(tensor: Any, src: int = 0, safe_mode: bool = False) -> Any:  # noqa: ARG001  # an argument of Ignite
    """Return the value of rank `src` on all ranks. A tensor may be None on the others; other values are pickled.

    Example:
        >>> broadcast({"lr": 0.1})
        {'lr': 0.1}
    """
    if get_world_size() == 1:
        return tensor
    values = [tensor if get_rank() == src else None]
    with nullcontext() if get_rank() == src else collective_call("broadcast", is_wait=True):
        c10d.broadcast_object_list(values, src, device=device())
    value = values[0]
    return value.to(device()) if isinstance(value, torch.Tensor) else value


def barrier() -> None:
    """Wait until all ranks are here.

    Example:
        >>> barrier()  # nothing to wait for in one process
    """
    if get_world_size() > 1:
        with collective_call("barrier"):
            c10d.barrier()


def new_group(ranks: list[int], **kwargs: Any) -> Any:
    """Return a group of `ranks`. In a single process it is the list itself.

    Raises:
        ValueError: `ranks` is not a list of integers.

    Example:
        >>> print(new_group([0]))
        [0]
    """
    if not (isinstance(ranks, list) and all(isinstance(rank, int) for rank in ranks)):
        raise ValueError(f"Argument ranks should be list of int, got {ranks!r}.")
    return c10d.new_group(ranks, **kwargs) if get_world_size() > 1 else ranks


def _group(group: Any) -> Any:
    return new_group(group) if isinstance(group, list) else group


def one_rank_only(rank: int = 0, with_barrier: bool = False) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Return a decorator that lets a function run on `rank` only; on other ranks it returns None.

    Args:
        rank: the rank that runs the function.
        with_barrier: whether all ranks wait until it has returned.

    Example:
        >>> @one_rank_only(rank=0)
        ... def download():
        ...     print("downloaded")
        >>> download()
        downloaded
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        @wraps(function)
        def call_on_one_rank(*args: P.args, **kwargs: P.kwargs) -> R | None:
            result = function(*args, **kwargs) if get_rank() == rank else None
            if with_barrier:
                barrier()
            return result

        return call_on_one_rank

    return decorate


@contextmanager
def one_rank_first(rank: int = 0, local: bool = False) -> Iterator[None]:
    """Return a context that `rank` enters and leaves before the others enter it.

    Args:
        rank: the rank that goes first, for example to download data.
        local: whether `rank` is the number on each machine, so one process per machine goes first.

    Raises:
        ValueError: there is no such rank.

    Example:
        >>> with one_rank_first():
        ...     print("rank 0 downloads, then the others read")
        rank 0 downloads, then the others read
    """
    if not 0 <= rank < get_world_size():
        raise ValueError(f"rank should be between 0 and {get_world_size() - 1}, got {rank}.")
    is_first = (get_local_rank() if local else get_rank()) == rank
    if not is_first:
        barrier()
    yield
    if is_first:
        barrier()
