"""Positions: the number that says where a run is in a graph.

Phase number ``k`` has two positions. At `before` the phase is about to be entered: its entry actions and handlers run
next. At `after_handlers` its handlers have run, and its activity runs next. Positions are plain integers because the
generated function compares them.
"""

from __future__ import annotations


def before(phase: int) -> int:
    """Return the position at which the phase of number `phase` is about to be entered."""
    return 2 * phase


def after_handlers(phase: int) -> int:
    """Return the position at which the handlers of the phase have run and its activity is next."""
    return 2 * phase + 1


def phase_at(position: int) -> int:
    """Return the number of the phase at `position`."""
    return position >> 1


def is_entered(position: int) -> bool:
    """Return True if the handlers of the phase at `position` have run."""
    return bool(position & 1)


def entered(position: int) -> int:
    """Return the position of the same phase after its handlers."""
    return position | 1


IDLE_POSITION = after_handlers(0)
"""The position of an engine that is not running: the first phase, entered."""
