"""First and completed event of each scope of the training lifecycle, computed from its graph."""

from __future__ import annotations

from fsm_engine.events.events import Events
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.transitions import Trigger
from fsm_engine.lifecycle.training import TRAINING

TERMINATIONS = (Events.TERMINATE, Events.TERMINATE_SINGLE_EPOCH)
"""Events that announce the early end of a run or an epoch."""


def _bounds(scope: Scope) -> tuple[Events, Events]:
    """Return the first event in `scope`, and the event that a run enters when it leaves the scope by itself."""
    inside = [p.event for p in TRAINING.phases if isinstance(p.event, Events) and scope.contains(p.scope)]
    (completed,) = {
        transition.target
        for transition in TRAINING.transitions
        if transition.trigger is Trigger.AUTOMATIC and transition.source in inside
        if isinstance(transition.target, Events) and transition.target not in (*inside, *TERMINATIONS)
    }
    return inside[0], completed


SCOPE_BOUNDS = {scope: _bounds(scope) for scope in (Scope.ITERATION, Scope.EPOCH, Scope.RUN)}
"""First and completed event by scope: ``(EPOCH_STARTED, EPOCH_COMPLETED)`` for ``Scope.EPOCH``."""
