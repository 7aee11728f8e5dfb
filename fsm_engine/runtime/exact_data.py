"""Opening a pass over the data so that another process can open the same one, at the batch that comes next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fsm_engine._util import rng as generators
from fsm_engine.runtime.run import Run
from fsm_engine.runtime.run_limits import length_of


def open_exactly(run: Run, start: int, skip: int) -> Iterator[Any]:
    """Open the data, noting what random generators stand at; in its middle, as they stood when it was opened first.

    Generators of the process, and those that a DataLoader and its samplers were given, are left where they were when
    a pass is opened in its middle. Data that tells its own position, as torchdata's `StatefulDataLoader` does, is
    told where to go on.
    """
    data_pass, data = run._data_pass, run.state.dataloader
    where, again = data_pass.loader_state, data_pass.must_reopen
    data_pass.loader_state, data_pass.must_reopen = None, False
    if data_pass.opening_rng is None or not again:
        _warn_inexact(run, again)
        data_pass.opening_rng = {**rng_states(data), "length": length_of(data)}
        return run._open_pass(data, start, skip)
    _warn_other_data(run, data_pass.opening_rng, skip)
    with _keep_rng_states(data):
        restore_rng_states(data, data_pass.opening_rng)
        if where is None:
            return run._open_pass(data, start, skip)
        data.load_state_dict(where)
        return iter(data)


def _warn_inexact(run: Run, again: bool) -> None:
    data = run.state.dataloader
    if again:
        run.logger.warning(
            "The run was saved without what its pass over the data began with, so the batches to come may be others. "
            "Set engine.resumes_exactly = True before run(), as a Checkpoint does that is made before it."
        )
    elif hasattr(data, "__next__"):
        run.logger.warning(
            "%s can be gone through only once. A run that goes on from a file needs another that gives the same "
            "batches, and goes through those that were used up. A DataLoader with a sampler skips them.",
            type(data).__name__,
        )


def _warn_other_data(run: Run, found: Mapping[str, Any], skip: int) -> None:
    data = run.state.dataloader
    length, before = length_of(data), found["length"]
    if length != before:
        run.logger.warning(
            "The run goes on in the middle of a pass over data of length %s, and that had length %s, so the batches to "
            "come are others. Give run() the same data, or what set_data() had put in its place.",
            length,
            before,
        )
    if 0 < skip != length and getattr(data, "num_workers", 0) > 0:
        run.logger.warning(
            "The processes that load the data begin anew in the middle of a pass. The batches are the same, but not "
            "what is drawn at random in these processes until the pass ends, such as augmentations."
        )


def saves_position(data: Any) -> bool:
    """Say whether `data` has its position as a `state_dict`, as torchdata's `StatefulDataLoader` has."""
    return hasattr(data, "state_dict") and hasattr(data, "load_state_dict")


def data_state(data: Any) -> Any:
    """Return the position that `data` tells of itself; None if it does not."""
    return data.state_dict() if saves_position(data) else None


def rng_states(data: Any) -> dict[str, Any]:
    """Return what the generators of the process stand at, those that `data` was given, and epochs its samplers know."""
    return {
        "process": generators.rng_states(),
        "data": [own.get_state() for own in _generators_of(data)],
        "epochs": [sampler.epoch for sampler in _epoch_samplers(data)],
    }


def restore_rng_states(data: Any, found: Mapping[str, Any]) -> None:
    """Let them all go on from `found`."""
    generators.restore_rng_states(found["process"])
    for own, state in zip(_generators_of(data), found["data"]):
        own.set_state(state.cpu())
    for sampler, epoch in zip(_epoch_samplers(data), found["epochs"]):
        sampler.set_epoch(epoch)


@contextmanager
def _keep_rng_states(data: Any) -> Iterator[None]:
    before = rng_states(data)
    try:
        yield
    finally:
        restore_rng_states(data, before)


def _generators_of(data: Any) -> list[Any]:
    """Return the generators that a DataLoader and its samplers were given, each once."""
    users = (data, *_samplers(data))
    found = {id(own): own for user in users if (own := getattr(user, "generator", None)) is not None}
    return [own for own in found.values() if hasattr(own, "get_state")]


def _samplers(data: Any) -> tuple[Any, ...]:
    batch_sampler = getattr(data, "batch_sampler", None)
    return getattr(data, "sampler", None), batch_sampler, getattr(batch_sampler, "sampler", None)


def _epoch_samplers(data: Any) -> list[Any]:
    """Return the samplers that draw by the number of the epoch, such as torch's `DistributedSampler`, each once."""
    found = {id(sampler): sampler for sampler in _samplers(data) if hasattr(sampler, "set_epoch")}
    return [sampler for sampler in found.values() if isinstance(getattr(sampler, "epoch", None), int)]
