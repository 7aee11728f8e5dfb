"""`gather_for`: the values of all ranks, with a purpose that must be the same on all ranks, and `agreed_score`.

The values travel through a process group of their own, on the CPU. So a rank that gathers while another rank trains
never takes a tensor of DistributedDataParallel for a value.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as c10d

from fsm_engine.distributed.own_group import OwnGroup
from fsm_engine.distributed.world import get_rank, get_world_size
from fsm_engine.timeline.collective_calls import collective_call

_logger = logging.getLogger(__name__)
_SMALL = 1024  # bytes that travel with the first collective; longer values need a second one
_SIZE = 8
_WARN_AFTER = timedelta(seconds=10)
_own_group = OwnGroup()

T = TypeVar("T")


class RankMismatchError(RuntimeError):
    """Raised on every rank when ranks gather values for different purposes, or when one of them cannot."""


def gather_for(purpose: str, make_value: Callable[[], T], group: Any = None) -> list[T]:
    """Return the value of ``make_value()`` of each rank, in the order of the ranks; a collective operation.

    Values are pickled, so tensors have to be on the CPU. Small values take one collective of gloo, others two. A rank
    that waits for more than ten seconds logs a warning with `purpose`.

    Args:
        purpose: a text that is equal on all ranks, such as the name of a metric and the place in the run.
        make_value: returns the value of this rank. An exception is raised on this rank, and a RankMismatchError on the
            others, so no rank waits for the value.
        group: a process group of all ranks on the CPU; a group for values unless given.

    Raises:
        RankMismatchError: the purposes differ, or `make_value` failed on another rank.
    """
    if get_world_size() == 1:
        return [make_value()]
    failure: Exception | None = None
    message: tuple[str, str | None, T | None]
    try:
        message = purpose, None, make_value()
        data = pickle.dumps(message)
    except Exception as error:
        failure = error
        data = pickle.dumps((purpose, f"{type(error).__name__}: {error}", None))
    with collective_call(purpose):
        gathered = _all_gather(data, purpose, group or _own_group.get())
    received = [pickle.loads(item) for item in gathered]
    if failure is not None:
        raise failure
    _check([purpose for purpose, _, _ in received], [error for _, error, _ in received])
    return [value for _, _, value in received]


def make_group() -> None:
    """Make the group for values; a collective operation of all ranks.

    Otherwise the first `gather_for` makes it, and a rank that calls it alone would wait without a warning.
    """
    _own_group.get()


def agreed_score(purpose: str, make_score: Callable[[], Any]) -> Any:
    """Return a score that is equal on all ranks: the mean over the ranks, unless it is the same number on all of them.

    In a single process it is the result of ``make_score()``. All ranks must call it; see `gather_for`.
    """
    scores = gather_for(purpose, make_score)
    return scores[0] if all(other == scores[0] for other in scores) else sum(scores) / len(scores)


def _check(purposes: list[str], errors: list[str | None]) -> None:
    if len(set(purposes)) > 1:
        each = "; ".join(f"rank {rank}: {purpose}" for rank, purpose in enumerate(purposes))
        raise RankMismatchError(
            f"the ranks need values of each other for different purposes. {each}. Call it on all ranks, equally often. "
            f"If ranks have different numbers of iterations, compute metrics once per epoch, and train on data of "
            f"ranks.loader(..., pad=True)."
        )
    for rank, error in enumerate(errors):
        if error is not None:
            raise RankMismatchError(f"rank {rank} failed in {purposes[rank]}: {error}")


def _all_gather(data: bytes, purpose: str, group: Any) -> list[bytes]:
    first = torch.zeros(_SMALL, dtype=torch.uint8)
    first[:_SIZE] = _bytes(len(data).to_bytes(_SIZE, "little"))
    head = data[: _SMALL - _SIZE]
    first[_SIZE : _SIZE + len(head)] = _bytes(head)
    rows = _exchange(first, group, purpose)
    sizes = [int.from_bytes(bytes(row[:_SIZE].tolist()), "little") for row in rows]
    if max(sizes) <= _SMALL - _SIZE:
        return [bytes(row[_SIZE : _SIZE + size].tolist()) for row, size in zip(rows, sizes)]
    padded = torch.zeros(max(sizes), dtype=torch.uint8)
    padded[: len(data)] = _bytes(data)
    return [row[:size].numpy().tobytes() for row, size in zip(_exchange(padded, group, purpose), sizes)]


def _bytes(data: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _exchange(tensor: torch.Tensor, group: Any, purpose: str) -> list[torch.Tensor]:
    rows = [torch.empty_like(tensor) for _ in range(get_world_size())]
    work: Any = c10d.all_gather(rows, tensor, group=group, async_op=True)
    try:
        work.wait(_WARN_AFTER)
    except RuntimeError:
        if work.is_completed():  # it failed, for example because a rank has ended
            raise
        _logger.warning(
            "Rank %s has waited %s s for other ranks in %s. All ranks must get there.",
            *(get_rank(), _WARN_AFTER.total_seconds(), purpose),
        )
        work.wait()
    return rows
