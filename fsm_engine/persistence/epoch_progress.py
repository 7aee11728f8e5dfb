"""The progress of a run that `iteration` and `epoch_length` do not determine: epochs of different lengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.runtime.data_iter import batches_before, length_of_pass
from fsm_engine.runtime.run_limits import reaches
from fsm_engine.runtime.state import State

EPOCH_PROGRESS = "epoch_progress"
"""Key of a state dict, present only if the other keys do not determine the progress."""

PROGRESS_NAMES = ("epochs", "iterations", "batches")
"""Keys of its value."""


def epoch_progress(engine: EventDispatcher, iteration: int) -> Mapping[str, int] | None:
    """Return the completed epochs, and the iterations of the open epoch and batches of the open pass that are done.

    Returns None if `load_state_dict` derives the same numbers from `iteration` and the epoch length.
    """
    cursor, state = engine._cursor, engine.state
    if engine._has_loaded_state:
        return cursor.loaded_progress
    length = state.epoch_length
    iterations = iteration - cursor.epoch_start if cursor.epoch_is_open else cursor.loaded_iterations
    is_open = cursor.epoch_is_open and not (length and iterations >= length)
    epochs, iterations = (state.epoch - 1, iterations) if is_open else (state.epoch, cursor.loaded_iterations)
    batches, derived_batches = batches_done(engine, iteration), batches_before(engine, iteration)
    derived = divmod(iteration, length) if length else (0, 0)
    pass_length = length_of_pass(engine) or length  # of data without a length, load_state_dict assumes this one
    has_derived_batches = batches == derived_batches or (pass_length and batches % pass_length == derived_batches)
    progress = State(iteration=iteration, epoch=derived[0], epoch_length=length)
    exceeds = reaches(progress, state.max_epochs and state.max_epochs + 1, state.max_iters and state.max_iters + 1)
    if (epochs, iterations) == derived and has_derived_batches and not exceeds:
        return None
    return dict(zip(PROGRESS_NAMES, (epochs, iterations, batches)))


def batches_done(engine: EventDispatcher, iteration: int) -> int:
    """Return the number of batches of the open pass that are done; derive it where a graph does not determine it."""
    data_pass = engine._data_pass
    if not data_pass.has_data or engine._graph.pending_batches is None:
        return batches_before(engine, iteration)
    batches = iteration - data_pass.start if data_pass.times_opened else data_pass.skip
    size = length_of_pass(engine)
    return batches % size if size else batches


def check_epoch_progress(given: Any) -> None:
    """Check the value of `EPOCH_PROGRESS` in a state dict.

    Raises:
        ValueError: it is not a mapping of three integers of at least zero.
    """
    numbers = [given.get(name) for name in PROGRESS_NAMES] if isinstance(given, Mapping) else [None]
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise ValueError(
            f"'{EPOCH_PROGRESS}' in the state dictionary should contain integers of at least 0 for "
            f"{list(PROGRESS_NAMES)}, got {given!r}. Without this key, the progress is derived from the iteration and "
            f"the epoch length."
        )
