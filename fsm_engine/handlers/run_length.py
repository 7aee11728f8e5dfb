"""Planned length of a run, computed from the limits in its state."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsm_engine.runtime.state import State


def planned_epochs(state: State) -> int | None:
    """Return the number of epochs of the run, or None if it is unknown."""
    if state.max_epochs is None and state.max_iters is not None and state.epoch_length is not None:
        return ceil(state.max_iters / state.epoch_length)
    return state.max_epochs


def planned_iterations(state: State) -> int | None:
    """Return the number of iterations of the run, or None if it is unknown."""
    if state.max_epochs is not None and state.epoch_length is not None:
        return state.max_epochs * state.epoch_length
    return state.max_iters
