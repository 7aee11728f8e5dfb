"""Continue a run with another number of ranks: after as many examples, with new random numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from fsm_engine._util.plain_data import items_of
from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import Events
from fsm_engine.events.priorities import FIRST
from fsm_engine.persistence.epoch_progress import EPOCH_PROGRESS, PROGRESS_NAMES
from fsm_engine.runtime.data_description import describe_data

_OF_ONE_RANK = ("position", "data", "generators", "opening_rng")
"""Keys of the state dict of an engine that hold only for the number of ranks that has saved it."""

_SAMPLERS = ("DistributedSampler", "UnpaddedSampler")
"""Samplers with the same order of examples for any number of ranks: each rank takes every n-th one."""


@dataclass(frozen=True)
class _Progress:
    """How far a run has come.

    Attributes:
        epochs: the completed epochs.
        examples: the examples that all ranks together have used in the open epoch; None if that is unknown.
        saved_by: the number of ranks that has saved it.
    """

    epochs: int
    examples: int | None
    saved_by: int


def rescaled(
    objects: Mapping[str, Any], states: Mapping[str, Any], saved_by: int, world_size: int
) -> tuple[Mapping[str, Any], list[Callable[[], Any]]]:
    """Return states for another number of ranks, and functions to call when these are loaded.

    Args:
        objects: the objects by name.
        states: their states, of one of the ranks that saved them.
        saved_by: the number of ranks that saved them.
        world_size: the number of ranks that load them.
    """
    if saved_by == world_size:
        return states, []
    actions: list[Callable[[], Any]] = []

    def converted(node: Any, state: Any) -> Any:
        if isinstance(node, Engine):
            if state.get("generators") is None:
                return state
            progress = _progress(state, saved_by)
            actions.append(partial(_continue_at, node, progress, world_size))
            return _engine_state(state, progress)
        parts = dict(items_of(node) or ())
        if not parts:
            return state
        changed = {key: converted(part, state[key]) for key, part in parts.items() if _has(state, key)}
        return {**state, **changed} if isinstance(state, Mapping) else list(changed.values())

    return converted(objects, states), actions


def _has(state: Any, key: Any) -> bool:
    return key in state if isinstance(state, Mapping) else key < len(state)


def _progress(state: Mapping[str, Any], saved_by: int) -> _Progress:
    given = state.get(EPOCH_PROGRESS)
    if given is not None:
        epochs, iterations = given["epochs"], given["iterations"]
    else:
        epochs, iterations = divmod(state["iteration"], state["epoch_length"] or state["iteration"] or 1)
    size = _examples_per_iteration(state.get("data"), saved_by)
    return _Progress(epochs, None if size is None else iterations * size, saved_by)


def _examples_per_iteration(description: Mapping[str, Any] | None, world_size: int) -> int | None:
    """Return how many examples all ranks together use in an iteration, for data of ``ranks.loader``, else None."""
    if description is None or description["sampler"] not in _SAMPLERS or not description["batch_size"]:
        return None
    return description["batch_size"] * world_size  # type: ignore[no-any-return]


def _engine_state(state: Mapping[str, Any], progress: _Progress) -> dict[str, Any]:
    """Return the state dict of an engine without the exact position, at the beginning of the open epoch."""
    changed = {key: value for key, value in state.items() if key not in _OF_ONE_RANK}
    attributes = state["state"] if state["position"] is None else state["position"]["state"]
    changed["state"] = {name: value for name, value in attributes.items() if name != "epoch_length"}
    changed["epoch_length"] = None  # of the data that run() gets
    changed[EPOCH_PROGRESS] = dict(zip(PROGRESS_NAMES, (progress.epochs, 0, 0)))
    return changed


def _continue_at(engine: Engine, progress: _Progress, world_size: int) -> None:
    """Let the next run of `engine` skip the examples that are done."""

    def skip(engine: Engine) -> None:
        handle.remove()
        _skip(engine, progress, world_size)

    handle = engine.add_event_handler(Events.STARTED(priority=FIRST), skip)


def _skip(engine: Engine, progress: _Progress, world_size: int) -> None:
    """Load the counters of the run into `engine`, at STARTED, when its data is known.

    Raises:
        ValueError: with so many examples per iteration, the counter of iterations would end the run too early.
    """
    state, epochs, iterations = engine.state, progress.epochs, 0
    size = _examples_per_iteration(describe_data(engine, state.dataloader), world_size)
    begins = "at its first example, because the data is not of ranks.loader()"
    if size is not None and progress.examples is not None:
        iterations = progress.examples // size
        begins = f"after {iterations * size} examples"
    engine.logger.warning(
        "The run was saved by %s ranks, and continues with %s: random numbers are new, and epoch %s begins %s.",
        *(progress.saved_by, world_size, epochs + 1, begins),
    )
    if state.epoch_length and iterations >= state.epoch_length:
        epochs, iterations = epochs + 1, 0
    _check_counter(state, epochs, iterations)
    limit = "max_epochs" if state.max_iters is None else "max_iters"
    loaded = {"iteration": state.iteration, "epoch_length": state.epoch_length, limit: getattr(state, limit)}
    engine.load_state_dict({**loaded, EPOCH_PROGRESS: dict(zip(PROGRESS_NAMES, (epochs, iterations, iterations)))})


def _check_counter(state: Any, epochs: int, iterations: int) -> None:
    length = state.epoch_length
    if length and state.max_epochs and state.iteration - (epochs * length + iterations) >= length:
        raise ValueError(
            f"the run has made {state.iteration} iterations, and an epoch has {length} now, so {state.max_epochs} "
            f"epochs would end too early. Give ranks.loader() a smaller batch_size, so that all ranks together use as "
            f"many examples in an iteration as before, or limit the run by max_iters."
        )
