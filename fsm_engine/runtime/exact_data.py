"""Open a pass over the data so that another process can open the same pass at the next batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fsm_engine._util import rng
from fsm_engine.runtime.run import Run
from fsm_engine.runtime.run_limits import length_of


def open_exactly(run: Run, start: int, skip: int) -> Iterator[Any]:
    """Open a pass over the data of the run at batch `skip`, so that a later process can open the same pass again.

    At the start of a pass, the current RNG states are stored in `DataPass.opening_rng`. If a loaded run was saved in a
    pass, that pass is opened with the stored RNG states, and the current states are restored afterwards. Data that
    saves its own position, such as torchdata's `StatefulDataLoader`, loads it. Logs a warning if the batches may
    differ.
    """
    data_pass, data = run._data_pass, run.state.dataloader
    must_reopen, loader_state, data_pass.loader_state = data_pass.must_reopen, data_pass.loader_state, None
    if data_pass.opening_rng is None or not must_reopen:
        _warn_inexact(run, must_reopen)
        data_pass.opening_rng = rng_states(data)
        return run._open_pass(data, start, skip)
    _warn_of_new_workers(run, skip)
    with _keep_rng_states(data):
        restore_rng_states(data, data_pass.opening_rng)
        if loader_state is None or not saves_position(data):
            return run._open_pass(data, start, skip)
        data.load_state_dict(loader_state)
        return iter(data)


def _warn_inexact(run: Run, must_reopen: bool) -> None:
    data = run.state.dataloader
    if must_reopen:
        run.logger.warning(
            "The run was saved without the random states at the start of its pass over the data, so the next batches "
            "may differ. Set engine.resumes_exactly = True before run(), or create the Checkpoint before run()."
        )
    elif hasattr(data, "__next__"):
        run.logger.warning(
            "%s can be iterated over only once. To resume from a file, run() needs a new iterator with the same "
            "batches, and consumes the batches that were used. A DataLoader with a sampler skips them instead.",
            type(data).__name__,
        )


def _warn_of_new_workers(run: Run, skip: int) -> None:
    data = run.state.dataloader
    if 0 < skip != length_of(data) and getattr(data, "num_workers", 0) > 0:
        run.logger.warning(
            "The worker processes of the DataLoader are new in the middle of a pass. The batches are the same, but "
            "random numbers that the workers draw until the end of the pass, such as for augmentations, differ."
        )


def saves_position(data: Any) -> bool:
    """Return True if `data` saves its position in a state dict, as torchdata's `StatefulDataLoader` does."""
    return hasattr(data, "state_dict") and hasattr(data, "load_state_dict")


def data_state(data: Any) -> Any:
    """Return the state dict of data that saves its position; None for other data."""
    return data.state_dict() if saves_position(data) else None


def rng_states(data: Any) -> dict[str, Any]:
    """Return the states of the global RNGs and of the generators of `data`, and the epochs of its samplers."""
    return {
        "process": rng.rng_states(),
        "data": [generator.get_state() for generator in _generators_of(data)],
        "epochs": [sampler.epoch for sampler in _epoch_samplers(data)],
    }


def restore_rng_states(data: Any, states: Mapping[str, Any]) -> None:
    """Restore the global RNGs, and the generators and samplers of `data`, from the result of `rng_states`."""
    rng.restore_rng_states(states["process"])
    for generator, state in zip(_generators_of(data), states["data"]):
        generator.set_state(state.cpu())
    for sampler, epoch in zip(_epoch_samplers(data), states["epochs"]):
        sampler.set_epoch(epoch)


@contextmanager
def _keep_rng_states(data: Any) -> Iterator[None]:
    before = rng_states(data)
    try:
        yield
    finally:
        restore_rng_states(data, before)


def _generators_of(data: Any) -> list[Any]:
    """Return the torch generators of a DataLoader and its samplers, without duplicates."""
    generators = (getattr(owner, "generator", None) for owner in (data, *_samplers(data)))
    unique = {id(generator): generator for generator in generators}
    return [generator for generator in unique.values() if hasattr(generator, "get_state")]


def _samplers(data: Any) -> tuple[Any, ...]:
    batch_sampler = getattr(data, "batch_sampler", None)
    return getattr(data, "sampler", None), batch_sampler, getattr(batch_sampler, "sampler", None)


def _epoch_samplers(data: Any) -> list[Any]:
    """Return the samplers whose order depends on the epoch, such as `DistributedSampler`, without duplicates."""
    unique = {id(sampler): sampler for sampler in _samplers(data) if hasattr(sampler, "set_epoch")}
    return [sampler for sampler in unique.values() if isinstance(getattr(sampler, "epoch", None), int)]
