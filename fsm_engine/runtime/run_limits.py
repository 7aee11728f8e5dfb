"""Limits of a run: checks of the arguments of `run`, and the decisions whether a run is new and whether it is done."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any

from fsm_engine.runtime.run import Run
from fsm_engine.runtime.state import State


def limits_reached(state: State) -> bool:
    """Return True if `state` has reached its limits."""
    return reaches(state, state.max_epochs, state.max_iters)


def reaches(state: State, max_epochs: int | None, max_iters: int | None) -> bool:
    """Return True if the counters of `state` have reached one of these limits."""
    if max_iters is not None and state.iteration >= max_iters:
        return True
    if max_epochs is None:
        return False
    if state.epoch >= max_epochs:
        return True
    return state.epoch_length is not None and state.iteration >= state.epoch_length * max_epochs


def length_of(data: Any) -> int | None:
    """Return the number of batches in `data`, or None if it is unknown."""
    if not hasattr(data, "__len__"):
        return None
    try:
        return len(data)
    except TypeError:  # a DataLoader over data without a length has a __len__ that raises
        return None


def is_new_run(state: State, max_epochs: int | None, max_iters: int | None, suspended: bool) -> bool:
    """Return True if a run starts from zero: `state` has no limit, or the limit is reached and no run is suspended.

    A limit that is passed to `run` replaces the state's, so a finished run continues under a higher limit.

    Raises:
        ValueError: a limit is of another kind than the state's, or below the current counter.
    """
    if state.max_epochs is None and state.max_iters is None:
        return True
    if suspended and (max_epochs, max_iters) == (state.max_epochs, state.max_iters):
        return False  # without a check, because error edges to EPOCH_STARTED can take the counter beyond the limit
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
    """Check the limits that are passed to `run`.

    Raises:
        ValueError: both limits are given, or a value is not positive.
        TypeError: a value is not an integer.
    """
    if max_epochs is max_iters is epoch_length is None:
        return
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
    """Raise if a limit is given; for lifecycles without epochs.

    Raises:
        ValueError: a limit is not None.
    """
    given = {"max_epochs": max_epochs, "max_iters": max_iters, "epoch_length": epoch_length}
    for limit, value in given.items():
        if value is not None:
            raise ValueError(
                f"{limit}={value} does not apply to the lifecycle {name!r}, which has no epochs. "
                f"End a run with a guard or engine.terminate()."
            )


def start_limits(run: Run, data: Any, max_epochs: int | None, max_iters: int | None, epoch_length: int | None) -> None:
    """Set counters and limits for a run that starts from zero.

    Without `epoch_length` and with data without a length, an epoch length that was given to an earlier run is kept. One
    that came from the data of an earlier run is dropped.

    Raises:
        ValueError: there is no data and no epoch length; the state does not change.
    """
    state, derived_length = run.state, None
    if epoch_length is None and data is not None:
        derived_length = length_of(data) or None
    if epoch_length is None and derived_length is None and (data is None or _is_given(run)):
        epoch_length = state.epoch_length
    _check_has_length(data, epoch_length)
    if max_iters is None and max_epochs is None:
        max_epochs = 1
    state.iteration = state.epoch = 0
    state.epoch_length, state.max_epochs, state.max_iters = epoch_length or derived_length, max_epochs, max_iters
    run._data_pass.derived_length = derived_length


def resume_limits(run: Run, data: Any, max_epochs: int | None, max_iters: int | None, epoch_length: int | None) -> None:
    """Set the limits for a run that continues with the counters of its state; given limits replace the state's.

    Warns once if the epoch length came from earlier data in this process, and the data is longer.

    Raises:
        ValueError: `epoch_length` differs from the state's, or there is no data and no epoch length; the state does not
            change.
    """
    state, data_pass = run.state, run._data_pass
    if epoch_length is not None and state.epoch_length not in (None, epoch_length):
        raise ValueError(
            f"Argument epoch_length should be same as in the state, got {epoch_length} vs {state.epoch_length}. "
            f"To start from zero with another length, set engine.state.max_epochs = None before engine.run()."
        )
    length = length_of(data)
    _check_has_length(data, state.epoch_length or epoch_length)
    if epoch_length is not None:
        data_pass.derived_length = None
    elif state.epoch_length is None:
        data_pass.derived_length = length
    elif state.dataloader is not None and data is not state.dataloader and not _is_given(run):
        _warn_if_longer(run, length)
    state.epoch_length = state.epoch_length or epoch_length or length
    state.max_epochs = max_epochs or state.max_epochs
    state.max_iters = max_iters or state.max_iters


def _is_given(run: Run) -> bool:
    """Return True if the user has given the epoch length of the state, to `run` or by setting it."""
    return run.state.epoch_length != run._data_pass.derived_length


def _check_has_length(data: Any, epoch_length: int | None) -> None:
    if data is None and epoch_length is None:
        raise ValueError(
            "epoch_length should be provided if data is None. Give the data: run(data); or, for a step that needs no "
            "data, the number of iterations: run(None, epoch_length=...)."
        )


def _warn_if_longer(run: Run, length: int | None) -> None:
    epoch_length, data_pass = run.state.epoch_length, run._data_pass
    if epoch_length is None or length is None or length <= epoch_length or data_pass.has_warned_of_length:
        return
    data_pass.has_warned_of_length = True
    warnings.warn(
        f"The data has {length} batches, but this run continues with epochs of {epoch_length} iterations, the length "
        f"of its earlier data. For epochs of {length} iterations, set engine.state.epoch_length = {length} before "
        f"engine.run(); to keep {epoch_length}, pass run(..., epoch_length={epoch_length}).",
        stacklevel=7,  # the caller of run()
    )
