"""Phases: the nodes of a lifecycle graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fsm_engine._util.suggestions import did_you_mean
from fsm_engine.events.events import Event, name_of
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import Code, CodeFragment, Payload

IDLE = "IDLE"
"""The phase of an engine that is not running. No event belongs to it."""


@dataclass(frozen=True)
class Phase:
    """A node of the graph: a named situation of a run. A run that enters it fires its event.

    Attributes:
        event: the event, which also names the phase. The first phase of a graph has a name only, and fires no event.
        scope: the innermost scope that contains the phase; None outside all scopes.
        entry: actions executed on entering the phase, before the handlers of its event.
        activity: code executed after the handlers. When it ends, the guards of the automatic exits are evaluated.
        payload: arguments of the handlers besides the engine.
        defer: while this guard is true, signals stay pending in this phase (deferred events of statecharts).
        counter: for a phase of the user, the attribute of the state that counts how often it is entered.

    Example:
        >>> phases = {phase.event: phase for phase in Lifecycle.training().phases}
        >>> print(phases[Events.EPOCH_STARTED].name, "in the scope", phases[Events.EPOCH_STARTED].scope)
        EPOCH_STARTED in the scope epoch
    """

    event: Event
    scope: Scope | None = None
    entry: tuple[Code, ...] = ()
    activity: Code | None = None
    payload: Payload = field(default_factory=Payload)
    defer: Code | None = None
    counter: str | None = None

    @property
    def may_fire(self) -> bool:
        """True if the activity can fire phases."""
        return self.activity is not None and (not isinstance(self.activity, CodeFragment) or self.activity.is_step)

    @property
    def name(self) -> str:
        """The name of the phase's event."""
        return name_of(self.event)

    def __str__(self) -> str:
        return self.name


def similar_phases(name: str, phases: Iterable[Phase]) -> str:
    """Return a sentence with the phases whose names resemble `name`, with a space in front; empty if none does."""
    return did_you_mean(name, {phase.name: repr(phase.event) for phase in phases})
