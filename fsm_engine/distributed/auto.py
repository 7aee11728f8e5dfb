"""Data loaders, models and optimizers of a rank, and `DistributedProxySampler`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, DistributedSampler, IterableDataset, Sampler

from fsm_engine.distributed.world import device, get_nproc_per_node, get_rank, get_world_size


def auto_dataloader(dataset: Dataset[Any], **kwargs: Any) -> DataLoader[Any]:
    """Return ``DataLoader(dataset, **kwargs)`` for the share of this rank, with pinned memory for a GPU of CUDA.

    With several ranks, ``batch_size`` is divided by their number and ``num_workers`` by the number of processes on this
    machine, and each rank draws its share: by a `torch.utils.data.DistributedSampler`, or by a
    `DistributedProxySampler` of the given sampler. An IterableDataset has to divide its examples itself.

    Example:
        >>> len(auto_dataloader(list(range(6)), batch_size=2))
        3
    """
    kwargs.setdefault("pin_memory", device().type == "cuda")
    ranks = get_world_size()
    if ranks == 1:
        return DataLoader(dataset, **kwargs)
    if kwargs.get("batch_size", 1) >= ranks:
        kwargs["batch_size"] = kwargs.get("batch_size", 1) // ranks
    if kwargs.get("num_workers"):
        kwargs["num_workers"] = -(-kwargs["num_workers"] // get_nproc_per_node())
    if not isinstance(dataset, IterableDataset) and kwargs.get("batch_sampler") is None:
        kwargs["sampler"] = _share(dataset, kwargs.get("sampler"), kwargs.pop("shuffle", False))
    return DataLoader(dataset, **kwargs)


def _share(dataset: Dataset[Any], sampler: Any, shuffle: bool) -> Sampler[Any]:
    if sampler is None:
        return DistributedSampler(dataset, shuffle=shuffle)
    return sampler if isinstance(sampler, DistributedSampler) else DistributedProxySampler(sampler)


def auto_model(model: torch.nn.Module, sync_bn: bool = False, **kwargs: Any) -> torch.nn.Module:
    """Move `model` to `device`, and wrap it in DistributedDataParallel if there are several ranks.

    Args:
        model: the model. It is returned as it is, moved, in a single process and if it has no parameters to train.
        sync_bn: whether the layers of batch normalization use the batches of all ranks, which needs GPUs.
        **kwargs: further arguments of `torch.nn.parallel.DistributedDataParallel`.

    Example:
        >>> model = torch.nn.Linear(1, 1)
        >>> auto_model(model) is model  # in a single process
        True
    """
    model = model.to(device())
    if get_world_size() == 1 or not any(parameter.requires_grad for parameter in model.parameters()):
        return model
    if device().type != "cuda":
        return DistributedDataParallel(model, **kwargs)
    if sync_bn:
        model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return DistributedDataParallel(model, device_ids=[device()], **kwargs)


def auto_optim(optimizer: torch.optim.Optimizer, **kwargs: Any) -> torch.optim.Optimizer:  # noqa: ARG001
    """Return `optimizer`: with DistributedDataParallel, it needs no change.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor(0.0))
        >>> optimizer = torch.optim.SGD([weight], lr=0.1)
        >>> auto_optim(optimizer) is optimizer
        True
    """
    return optimizer


class DistributedProxySampler(DistributedSampler[Any]):
    """Share of one process of the indices that a sampler draws after torch's RNG was seeded with the epoch.

    Args:
        sampler: sampler with a length, such as a `torch.utils.data.WeightedRandomSampler`.
        num_replicas: number of processes that share the indices.
        rank: rank of this process among them.

    Raises:
        TypeError: `sampler` is not a sampler.

    Example:
        >>> sampler = torch.utils.data.SequentialSampler(range(6))
        >>> list(DistributedProxySampler(sampler, num_replicas=2, rank=1))
        [1, 3, 5]
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
