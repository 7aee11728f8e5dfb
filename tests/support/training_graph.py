"""Phases and moves of the training lifecycle, read from its graph.

Tests that are not about the list of phases use these, so that a new phase does not break them.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

from fsm_engine import Edge, Events, Lifecycle, Transition

ONE_BATCH = (Events.GET_BATCH_STARTED, Events.GET_BATCH_COMPLETED, Events.ITERATION_STARTED, Events.ITERATION_COMPLETED)


def phase_names() -> str:
    """Return the names of the phases as messages list them."""
    return ", ".join(phase.name for phase in Lifecycle.training().phases)


@cache
def path(*phases: Any) -> tuple[Transition, ...]:
    """Return the transitions of the shortest path through `phases`, whatever phases lie between them."""
    training = Lifecycle.training()
    segments = (next(iter(training.paths(*ends, shortest=True))) for ends in pairwise(phases))
    return tuple(transition for segment in segments for transition in segment)


def moves(*phases: Any) -> list[str]:
    """Return the moves of the shortest path through `phases`, as an observer sees them."""
    return [str(transition) for transition in path(*phases)]


def edge_into(target: Events) -> Edge:
    """Return the edge without a guard that leads to `target`."""
    (source,) = (t.source for t in Lifecycle.training().transitions if t.target is target and t.guard is None)
    return source >> target
