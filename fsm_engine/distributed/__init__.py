"""Training on many processes, with torch's own process groups underneath.

`session` joins the processes and gives each a `Session`, whose `attach` makes engines agree on signals. The other names
are the names of ``ignite.distributed``. In a single process everything works, and nothing is started. Engines know this
package only by the interface `SignalAgreement`; metrics and the packages after it may import it.
"""

from __future__ import annotations

from fsm_engine.distributed.agreement import AgreementError
from fsm_engine.distributed.auto import DistributedProxySampler, auto_dataloader, auto_model, auto_optim
from fsm_engine.distributed.collectives import (
    all_gather,
    all_gather_tensors_with_shapes,
    all_reduce,
    barrier,
    broadcast,
    new_group,
    one_rank_first,
    one_rank_only,
)
from fsm_engine.distributed.failures import RankError
from fsm_engine.distributed.gathering import RankMismatchError
from fsm_engine.distributed.launch import launch
from fsm_engine.distributed.launcher import Parallel, spawn
from fsm_engine.distributed.rank_zero import rank_zero
from fsm_engine.distributed.session import Session, session
from fsm_engine.distributed.world import (
    available_backends,
    backend,
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
    set_local_rank,
    show_config,
    sync,
)

__all__ = [
    "AgreementError",
    "DistributedProxySampler",
    "Parallel",
    "RankError",
    "RankMismatchError",
    "Session",
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
    "launch",
    "model_name",
    "new_group",
    "one_rank_first",
    "one_rank_only",
    "rank_zero",
    "session",
    "set_local_rank",
    "show_config",
    "spawn",
    "sync",
]
