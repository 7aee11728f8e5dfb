"""Who this process is among the processes that train together, by the names of ``ignite.distributed``."""

from __future__ import annotations

import logging
import os
import socket
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as c10d

_RENDEZVOUS = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_local_rank: int | None = None
_is_alone = False  # True while the group of torch is one that `join_alone` has made

has_xla_support = False
has_hvd_support = False
has_native_dist_support = True
registered_computation_models: list[type] = []
"""Only torch's own backends are supported."""


def has_group() -> bool:
    """Return True if this process has joined a process group, other than the one of `join_alone`."""
    return c10d.is_available() and c10d.is_initialized() and not _is_alone


def get_rank() -> int:
    """Return the number of this process, from 0.

    Example:
        >>> get_rank()
        0
    """
    return c10d.get_rank() if has_group() else 0


def get_world_size() -> int:
    """Return the number of processes.

    Example:
        >>> get_world_size()
        1
    """
    return c10d.get_world_size() if has_group() else 1


def get_local_rank() -> int:
    """Return the number of this process on its machine: of `set_local_rank`, or else the variable LOCAL_RANK.

    Example:
        >>> get_local_rank()
        0
    """
    if not has_group():
        return 0
    return int(os.environ.get("LOCAL_RANK", 0)) if _local_rank is None else _local_rank


def set_local_rank(index: int) -> None:
    """Set the number of this process on its machine, if no launcher has set the variable LOCAL_RANK."""
    global _local_rank  # a process has one number
    _local_rank = index


def get_nproc_per_node() -> int:
    """Return the number of processes on this machine: the variable LOCAL_WORLD_SIZE, or else all of them.

    Example:
        >>> get_nproc_per_node()
        1
    """
    return int(os.environ.get("LOCAL_WORLD_SIZE", get_world_size())) if has_group() else 1


def get_nnodes() -> int:
    """Return the number of machines.

    Example:
        >>> get_nnodes()
        1
    """
    return get_world_size() // get_nproc_per_node()


def get_node_rank() -> int:
    """Return the number of this machine, from 0.

    Example:
        >>> get_node_rank()
        0
    """
    return get_rank() // get_nproc_per_node()


def backend() -> str | None:
    """Return the name of the backend for communication; None in a single process.

    Example:
        >>> print(backend())  # in a single process
        None
    """
    return str(c10d.get_backend()) if has_group() else None


def available_backends() -> tuple[str, ...]:
    """Return the names of the backends that this installation of torch has.

    Example:
        >>> "gloo" in available_backends()
        True
    """
    checks = {"nccl": c10d.is_nccl_available, "gloo": c10d.is_gloo_available, "mpi": c10d.is_mpi_available}
    return tuple(name for name, is_there in checks.items() if is_there()) if c10d.is_available() else ()


def model_name() -> str:
    """Return "native-dist" with a process group, and "serial" without one.

    Example:
        >>> model_name()
        'serial'
    """
    return "native-dist" if has_group() else "serial"


def hostname() -> str:
    """Return the name of the machine.

    Example:
        >>> isinstance(hostname(), str)
        True
    """
    return socket.gethostname()


def device() -> torch.device:
    """Return the device of this process: with a process group its GPU under NCCL, else the CPU.

    Without a process group, it is a GPU of CUDA if there is one, else one of MPS, else the CPU.

    Example:
        >>> device().type in ("cpu", "cuda", "mps")
        True
    """
    if has_group():
        has_gpu = torch.cuda.is_available() and "nccl" in c10d.get_backend_config()
        return torch.device("cuda", torch.cuda.current_device()) if has_gpu else torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def is_launched() -> bool:
    """Return True if a launcher such as ``torchrun`` has started this process.

    Raises:
        RuntimeError: the variables that the processes need to find each other are incomplete.
    """
    given = [name for name in _RENDEZVOUS if name in os.environ]
    if not {"RANK", "WORLD_SIZE"} & set(given):
        _warn_of_tasks(int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)))
        return False
    missing = [name for name in _RENDEZVOUS if name not in given]
    if missing:
        raise RuntimeError(
            f"the environment has {', '.join(given)}, but not {', '.join(missing)}, which the processes need to find "
            f"each other. Start the script with torchrun, or remove these variables to run one process."
        )
    return True


def _warn_of_tasks(count: int) -> None:
    """Log a warning if srun has started several processes, which do not know each other."""
    if count > 1:
        logging.getLogger("fsm_engine.distributed").warning(
            "srun has started %s processes, but without the variables that torch reads, so each of them trains alone. "
            "Set MASTER_ADDR and MASTER_PORT, and for each process RANK=$SLURM_PROCID, LOCAL_RANK=$SLURM_LOCALID and "
            "WORLD_SIZE=$SLURM_NTASKS.",
            count,
        )


def initialize(backend: str | None = None, **kwargs: Any) -> None:
    """Join the process group of the launcher. Without a launcher, and if a group exists, do nothing.

    Args:
        backend: "nccl", "gloo" or another backend of torch; by default NCCL for GPUs and gloo for the CPU.
        **kwargs: arguments of `torch.distributed.init_process_group`, such as ``timeout``, a `datetime.timedelta`.

    Raises:
        RuntimeError: the environment of the launcher is incomplete.
    """
    if has_group() or not ("init_method" in kwargs or is_launched()):
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    if isinstance(kwargs.get("timeout"), (int, float)):
        kwargs["timeout"] = timedelta(seconds=kwargs["timeout"])
    if not {"init_method", "store"} & set(kwargs) and _shares_store_with_earlier_attempts():
        kwargs |= _own_store(kwargs.get("timeout", c10d.default_pg_timeout))
    c10d.init_process_group(backend or _default_backend(), **kwargs)


def _shares_store_with_earlier_attempts() -> bool:
    """Return True if ``torchrun`` has restarted the processes of one machine, and the store has the old keys.

    On several machines, the counts of restarts may differ, so they cannot be the names of the attempts.
    """
    given = os.environ.get
    is_shared, is_one_machine = given("TORCHELASTIC_USE_AGENT_STORE") == "True", given("GROUP_WORLD_SIZE") == "1"
    return is_shared and is_one_machine and given("TORCHELASTIC_RESTART_COUNT", "0") != "0"


def _own_store(timeout: timedelta) -> dict[str, Any]:
    """Return arguments of `init_process_group` that keep the keys of this attempt apart from those of earlier ones.

    torch reads the addresses of processes that have ended otherwise: the new processes abort or wait for ever.
    """
    from torch._C._distributed_c10d import PrefixStore, TCPStore  # missing where torch has no distributed package

    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    shared = TCPStore(host, port, world_size, is_master=False, timeout=timeout)
    attempt = f"fsm_engine/attempt {os.environ['TORCHELASTIC_RESTART_COUNT']}"
    return {"store": PrefixStore(attempt, shared), "rank": rank, "world_size": world_size}


def join(backend: str | None, timeout: float) -> None:
    """Find the other processes by the environment of the launcher, and join their process group.

    Args:
        backend: see `initialize`.
        timeout: how long to wait for the other processes, in seconds. Collectives keep the timeout of torch.

    Raises:
        RuntimeError: the other processes are not found in time.
    """
    has_met = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"  # the agents of torchrun have met already
    initialize(backend, **({} if has_met else _meet(timeout)))


def join_alone() -> None:
    """Make a group of this process only, because `DistributedDataParallel` and ``fully_shard`` need one.

    It needs no other process and no port that is known. The functions of this module answer as without a group.
    """
    global _is_alone  # a process has one default group
    if not c10d.is_available() or not c10d.is_gloo_available():
        return
    from torch._C._distributed_c10d import HashStore  # missing where torch has no distributed package

    try:
        c10d.init_process_group(_default_backend(), store=HashStore(), rank=0, world_size=1)
    except RuntimeError as error:  # gloo finds no network interface; only these wrappers need the group
        logging.getLogger("fsm_engine.distributed").debug("No process group of one process: %s", error)
    else:
        _is_alone = True


def leave_alone() -> None:
    """Destroy the group of `join_alone`, if it was made."""
    global _is_alone  # a process has one default group
    if _is_alone:
        _is_alone = False
        finalize()


def _default_backend() -> str:
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"


def _meet(timeout: float) -> dict[str, Any]:
    """Connect the processes, and return the arguments of `init_process_group`."""
    from torch.distributed.distributed_c10d import PrefixStore  # missing where torch has no distributed package
    from torch.distributed.rendezvous import rendezvous

    try:
        store, rank, world_size = next(rendezvous("env://", timeout=timedelta(seconds=timeout)))
    except (c10d.DistError, ValueError) as error:
        given = ", ".join(f"{name}={os.environ[name]}" for name in _RENDEZVOUS)
        if "EADDRINUSE" in str(error):
            raise RuntimeError(
                f"another process listens at MASTER_PORT already ({given}). Set another MASTER_PORT for all processes."
            ) from error
        raise RuntimeError(
            f"the processes did not find each other within {timeout:g} s ({given}): {_first_line(error)}. Rank 0 "
            f"listens at MASTER_ADDR and MASTER_PORT, which every other process must reach, and WORLD_SIZE processes "
            f"must start. Start the script with torchrun, or remove these variables to run one process."
        ) from error
    store.set_timeout(c10d.default_pg_timeout)
    return {"store": PrefixStore("default_pg", store), "rank": rank, "world_size": world_size}


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(". ")


def finalize() -> None:
    """Leave the process group, if there is one.

    Example:
        >>> finalize()  # without a process group, nothing happens
    """
    if has_group():
        c10d.destroy_process_group()


def sync(temporary: bool = False) -> None:
    """Do nothing: the answers of this module are always read from torch.

    Example:
        >>> sync()
    """


def show_config() -> None:
    """Log the configuration at INFO.

    Example:
        >>> show_config()  # logs the ranks and the backend
    """
    logging.getLogger("fsm_engine.distributed").info(
        "%s: rank %s, world size %s, local rank %s, machine %s of %s, device %s, host %s, backend %s",
        *(model_name(), get_rank(), get_world_size(), get_local_rank(), get_node_rank(), get_nnodes()),
        *(device(), hostname(), backend()),
    )
