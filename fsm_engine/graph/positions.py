"""Positions: numbers for the places at which a run can be in a graph.

Phase number ``k`` has two positions. At `before` the phase is about to be entered: its entry actions and handlers run
next. At `after_handlers` its handlers have run, and its activity runs next. Positions are plain integers because the
generated function compares them.
"""

from __future__ import annotations


def before(phase: int) -> int:
    """Return the position before phase number `phase` is entered."""
    return 2 * phase


def after_handlers(phase: int) -> int:
    """Return the position between the handlers and the activity of phase number `phase`."""
    return 2 * phase + 1


def phase_at(position: int) -> int:
    """Return the number of the phase at `position`."""
    return position >> 1


def is_entered(position: int) -> bool:
    """Return True if the handlers of the phase at `position` have run."""
    return bool(position & 1)


def entered(position: int) -> int:
    """Return the position after the handlers of the phase at `position`."""
    return position | 1


IDLE_POSITION = after_handlers(0)
"""The position of an engine that is not running: the first phase, entered."""
