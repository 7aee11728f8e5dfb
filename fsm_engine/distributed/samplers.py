"""Samplers that divide a data set among ranks, and `set_epoch`, which tells them the epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import Sampler

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class UnpaddedSampler(Sampler[int]):
    """Gives each example to exactly one rank, so a rank may have one example fewer than another.

    `torch.utils.data.DistributedSampler` repeats or drops examples until all ranks have equally many, which makes a
    metric of the whole data set slightly wrong.

    Args:
        dataset: data with a length.
        num_replicas: the number of ranks.
        rank: the rank of this process.
        shuffle: whether each epoch has an order of its own.
        seed: the seed of the order, equal on all ranks.
    """

    def __init__(self, dataset: Sized, num_replicas: int, rank: int, shuffle: bool = False, seed: int = 0) -> None:
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.shuffle, self.seed, self.epoch = shuffle, seed, 0

    def __len__(self) -> int:
        return len(range(self.rank, len(self.dataset), self.num_replicas))

    def __iter__(self) -> Iterator[int]:
        numbers: Any = range(len(self.dataset))
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed + self.epoch)
            numbers = torch.randperm(len(self.dataset), generator=generator).tolist()
        return iter(numbers[self.rank :: self.num_replicas])

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the epoch, which changes the order of the next iterators."""
        self.epoch = epoch


def set_epoch(engine: Engine) -> None:
    """Call ``set_epoch`` of the sampler of the data of `engine` with the number of the epoch."""
    data = engine.state.dataloader
    batch_sampler = getattr(data, "batch_sampler", None)
    for owner in (data, getattr(data, "sampler", None), batch_sampler, getattr(batch_sampler, "sampler", None)):
        if callable(getattr(owner, "set_epoch", None)):
            owner.set_epoch(engine.state.epoch)  # type: ignore[union-attr]
