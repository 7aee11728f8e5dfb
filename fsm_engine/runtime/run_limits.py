"""What the limits of a run mean: whether there is anything left to do, and whether a run is new or goes on."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from fsm_engine.runtime.state import State


def limits_reached(state: State) -> bool:
    """Say whether the limits of `state` are reached."""
    return reaches(state, state.max_epochs, state.max_iters)


def reaches(state: State, max_epochs: int | None, max_iters: int | None) -> bool:
    """Say whether `state` has come as far as these limits."""
    if max_iters is not None and state.iteration >= max_iters:
        return True
    if max_epochs is None:
        return False
    if state.epoch >= max_epochs:
        return True
    return state.epoch_length is not None and state.iteration >= state.epoch_length * max_epochs


def length_of(data: Any) -> int | None:
    """Return the number of batches in `data`, or None if it does not know."""
    if not hasattr(data, "__len__"):
        return None
    try:
        return len(data)
    except TypeError:  # a DataLoader over data without length has a __len__ that says so
        return None


def is_new_run(state: State, max_epochs: int | None, max_iters: int | None, suspended: bool) -> bool:
    """Say whether a run starts from zero: no limit is set, or it is reached and no run is suspended.

    A limit that is given counts in place of that of the state, so a run that was done goes on under a higher one.

    Raises:
        ValueError: a limit of the other kind than that of the state, or one that is already passed.
    """
    if state.max_epochs is None and state.max_iters is None:
        return True
    if suspended and (max_epochs, max_iters) == (state.max_epochs, state.max_iters):
        return False  # where error edges lead back to EPOCH_STARTED, it may have passed its own limit
    _check_limit(state, "max_epochs", max_epochs, "max_iters", "epoch")
    _check_limit(state, "max_iters", max_iters, "max_epochs", "iteration")
    return not suspended and reaches(state, max_epochs or state.max_epochs, max_iters or state.max_iters)


def _check_limit(state: State, name: str, given: int | None, other: str, counter: str) -> None:
    if given is None:
        return
    if getattr(state, name) is None:
        raise ValueError(
            f"To switch from {other} to {name} mode during resume, you must first reset by setting "
            f"'engine.state.{other} = None', which starts the run from zero; it is {getattr(state, other)} now."
        )
    progress = getattr(state, counter)
    if given < progress:
        raise ValueError(
            f"Argument {name} should be greater than or equal to the start {counter} defined in the state: "
            f"{given} vs {progress}. Please, set engine.state.{name} = None before calling engine.run() in order "
            f"to restart the training from the beginning."
        )


def check_limits(max_epochs: int | None, max_iters: int | None, epoch_length: int | None) -> None:
    """Refuse limits that no run can have.

    Raises:
        ValueError: both limits, or one that is not positive.
        TypeError: one that is not an integer.
    """
    if max_epochs is not None and max_iters is not None:
        raise ValueError(
            f"Arguments max_iters and max_epochs are mutually exclusive, got max_epochs={max_epochs} and "
            f"max_iters={max_iters}. Give one of them."
        )
    for name, value in (("max_epochs", max_epochs), ("max_iters", max_iters), ("epoch_length", epoch_length)):
        if value is None:
            continue
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise TypeError(f"Argument {name} should be an integer, got {value!r}.")
        if value < 1:
            raise ValueError(f"Argument {name} is invalid: {value}. It should be greater than zero.")


def raise_if_limited(name: str, max_epochs: int | None, max_iters: int | None, epoch_length: int | None) -> None:
    """Refuse limits for a lifecycle without epochs.

    Raises:
        ValueError: if one is given.
    """
    given = {"max_epochs": max_epochs, "max_iters": max_iters, "epoch_length": epoch_length}
    for limit, value in given.items():
        if value is not None:
            raise ValueError(
                f"{limit}={value} means nothing to the lifecycle {name!r}, which has no epochs. "
                f"Let a guard end it, or engine.terminate()."
            )


def start_limits(
    state: State, data: Any, max_epochs: int | None, max_iters: int | None, epoch_length: int | None
) -> None:
    """Set counters and limits for a run that starts from zero.

    Raises:
        ValueError: if the length of an epoch cannot be told; `state` is left as it was.
    """
    if epoch_length is None:
        epoch_length = state.epoch_length if data is None else length_of(data)
    if data is None and epoch_length is None:
        raise ValueError("epoch_length should be provided if data is None: run(None, epoch_length=...).")
    if max_iters is None and max_epochs is None:
        max_epochs = 1
    state.iteration = state.epoch = 0
    state.epoch_length, state.max_epochs, state.max_iters = epoch_length, max_epochs, max_iters


def resume_limits(
    state: State, data: Any, max_epochs: int | None, max_iters: int | None, epoch_length: int | None
) -> None:
    """Let a run go on with the counters it has; a limit that is given replaces that of the state.

    Raises:
        ValueError: another `epoch_length`, or no way to tell the length of an epoch; `state` is left as it was.
    """
    if epoch_length is not None and state.epoch_length not in (None, epoch_length):
        raise ValueError(
            f"Argument epoch_length should be same as in the state, got {epoch_length} vs {state.epoch_length}. "
            f"To start from zero with another length, set engine.state.max_epochs = None before engine.run()."
        )
    epoch_length = state.epoch_length or epoch_length or length_of(data)
    if data is None and epoch_length is None:
        raise ValueError("epoch_length should be provided if data is None: run(None, epoch_length=...).")
    state.epoch_length = epoch_length
    state.max_epochs = max_epochs or state.max_epochs
    state.max_iters = max_iters or state.max_iters
