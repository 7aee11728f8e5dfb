"""One process, seen through the interface of ``ignite.distributed``: rank 0 of a world of size 1.

Programs that ask for their rank, gather tensors or adapt a model run unchanged in a single process. A request for
several processes raises an error. The package imports nothing of fsm_engine; metrics and the packages after it may
import it.
"""

from __future__ import annotations

from fsm_engine.distributed.auto import DistributedProxySampler, auto_dataloader, auto_model, auto_optim
from fsm_engine.distributed.launcher import Parallel
from fsm_engine.distributed.utils import (
    all_gather,
    all_gather_tensors_with_shapes,
    all_reduce,
    available_backends,
    backend,
    barrier,
    broadcast,
    device,
    finalize,
    get_local_rank,
    get_nnodes,
    get_node_rank,
    get_nproc_per_node,
    get_rank,
    get_world_size,
    has_hvd_support,
    has_native_dist_support,
    has_xla_support,
    hostname,
    initialize,
    model_name,
    new_group,
    one_rank_first,
    one_rank_only,
    set_local_rank,
    show_config,
    spawn,
    sync,
)

__all__ = [
    "DistributedProxySampler",
    "Parallel",
    "all_gather",
    "all_gather_tensors_with_shapes",
    "all_reduce",
    "auto_dataloader",
    "auto_model",
    "auto_optim",
    "available_backends",
    "backend",
    "barrier",
    "broadcast",
    "device",
    "finalize",
    "get_local_rank",
    "get_nnodes",
    "get_node_rank",
    "get_nproc_per_node",
    "get_rank",
    "get_world_size",
    "has_hvd_support",
    "has_native_dist_support",
    "has_xla_support",
    "hostname",
    "initialize",
    "model_name",
    "new_group",
    "one_rank_first",
    "one_rank_only",
    "set_local_rank",
    "show_config",
    "spawn",
    "sync",
]
