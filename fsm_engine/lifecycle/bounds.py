"""Where scopes begin and end: the phases that announce it, read off the lifecycle of training."""

from __future__ import annotations

from fsm_engine.events.events import Events
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.transitions import Trigger
from fsm_engine.lifecycle.training import TRAINING

CUT_SHORT = (Events.TERMINATE, Events.TERMINATE_SINGLE_EPOCH)
"""The phases that announce that what goes on is not finished."""


def _bounds(scope: Scope) -> tuple[Events, Events]:
    """Return the first phase in `scope`, and the one to which a run leaves it by itself when it is through."""
    inside = [p.event for p in TRAINING.phases if isinstance(p.event, Events) and scope.contains(p.scope)]
    (completed,) = {
        transition.target
        for transition in TRAINING.transitions
        if transition.trigger is Trigger.AUTOMATIC and transition.source in inside
        if isinstance(transition.target, Events) and transition.target not in (*inside, *CUT_SHORT)
    }
    return inside[0], completed


SCOPE_BOUNDS = {scope: _bounds(scope) for scope in (Scope.ITERATION, Scope.EPOCH, Scope.RUN)}
"""By scope, such as ``Scope.EPOCH``: ``EPOCH_STARTED`` and ``EPOCH_COMPLETED``."""
