"""Phases: the nodes of a lifecycle graph."""

from __future__ import annotations

from dataclasses import dataclass, field

from fsm_engine.events.events import Event, name_of
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import Code, CodeFragment, Payload

IDLE = "IDLE"
"""The phase of an engine that is not running. It announces nothing: there is no event of that name."""


@dataclass(frozen=True)
class Phase:
    """A node: a named situation of the run. Entering it announces its event.

    Attributes:
        event: the event announced, also the name of the phase. The first phase of a graph announces nothing.
        scope: the innermost scope it lies in, None outside all of them.
        entry: actions done on entering, before the handlers.
        activity: done when the handlers are through; the automatic exits are looked at when it ends.
        payload: what handlers are given besides the engine.
        defer: while this guard holds, signals wait in this phase (statecharts' deferred events).
        counter: the attribute of the state that counts how often this phase was entered, if it is the user's own.
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
        """Whether its activity may fire phases."""
        return self.activity is not None and (not isinstance(self.activity, CodeFragment) or self.activity.is_step)

    @property
    def name(self) -> str:
        """The name of the phase, which is that of its event."""
        return name_of(self.event)

    def __str__(self) -> str:
        return self.name
