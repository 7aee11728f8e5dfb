"""Data loaders, models and optimizers of a single process, and `DistributedProxySampler`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler

from fsm_engine.distributed.utils import device, get_rank, get_world_size


def auto_dataloader(dataset: Dataset[Any], **kwargs: Any) -> DataLoader[Any]:
    """Return ``DataLoader(dataset, **kwargs)``, with pinned memory for a GPU of CUDA unless `kwargs` say otherwise."""
    return DataLoader(dataset, **{"pin_memory": device().type == "cuda", **kwargs})


def auto_model(model: torch.nn.Module, sync_bn: bool = False, **kwargs: Any) -> torch.nn.Module:  # noqa: ARG001
    """Move `model` to `device`, and return it."""
    return model.to(device())


def auto_optim(optimizer: torch.optim.Optimizer, **kwargs: Any) -> torch.optim.Optimizer:  # noqa: ARG001
    """Return `optimizer`."""
    return optimizer


class DistributedProxySampler(DistributedSampler[Any]):
    """Share of one process of the indices that a sampler draws after torch's RNG was seeded with the epoch.

    Args:
        sampler: sampler with a length, such as a `torch.utils.data.WeightedRandomSampler`.
        num_replicas: number of processes that share the indices.
        rank: rank of this process among them.

    Raises:
        TypeError: `sampler` is not a sampler.
    """

    def __init__(self, sampler: Sampler[Any], num_replicas: int | None = None, rank: int | None = None) -> None:
        if not isinstance(sampler, Sampler):
            raise TypeError(f"Argument sampler should be instance of torch Sampler, but given: {sampler!r}.")
        replicas = get_world_size() if num_replicas is None else num_replicas
        sized: Any = sampler
        super().__init__(sized, replicas, get_rank() if rank is None else rank, shuffle=False)
        self.sampler = sampler

    def __iter__(self) -> Iterator[Any]:
        torch.manual_seed(self.epoch)
        drawn = chain.from_iterable(iter(self.sampler) for _ in range(self.num_replicas))  # a second draw fills it up
        return islice(drawn, self.rank, self.total_size, self.num_replicas)
