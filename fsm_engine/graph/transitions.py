"""Transitions: the edges of a lifecycle graph."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from fsm_engine.events.edges import Edge
from fsm_engine.events.events import Event, EventEnum, name_of
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import Code
from fsm_engine.graph.signals import Signal


class Trigger(Enum):
    """What makes a transition happen."""

    AUTOMATIC = "automatic"
    SIGNAL = "signal"
    FIRED = "fired"


@dataclass(frozen=True)
class History:
    """The history of a scope, as the target of a transition: the phase that was left in the scope last.

    It is the deep history of statecharts: a phase of an inner scope is restored, too.
    """

    scope: Scope

    @property
    def name(self) -> str:
        """The name of the scope."""
        return self.scope.name

    def contains(self, scope: Scope | None) -> bool:
        """Return True if `scope` is the scope of the history or lies inside it."""
        return self.scope.contains(scope)

    def __str__(self) -> str:
        return self.scope.name


@dataclass(frozen=True)
class Transition:
    """An edge: from a phase, or from every phase of a scope, to a phase.

    Attributes:
        source: the phase's event, or a scope.
        target: the phase's event, or the history of a scope.
        label: its name, unique among the exits of its source.
        trigger: automatic (when the activity ends; the first whose guard is true), a signal, or fired.
        signal: which signal, if that is the trigger.
        guard: when an automatic transition may be taken; None is always.
        action: done when it is taken.
        error: which exceptions it takes, if it is an error edge: its signal is then an exception.
        limit: how often a run may take an error edge; None is any number of times.
        via: for an edge that stands for one from a scope: that scope.
    """

    source: Event | Scope
    target: Event | History
    label: str
    trigger: Trigger = Trigger.AUTOMATIC
    signal: Signal | None = None
    guard: Code | None = None
    action: Code | None = None
    error: tuple[type[BaseException], ...] = ()
    limit: int | None = None
    via: Scope | None = None

    def __post_init__(self) -> None:
        if isinstance(self.target, Scope):
            raise TypeError(
                f"the target of a transition is a phase or a history, got the scope {self.target}. "
                f"Write History(Scope.{self.target.name.upper()}) for the phase that was left in it last."
            )

    def __str__(self) -> str:
        source, target = (name_of(end) if isinstance(end, (EventEnum, str)) else end.name for end in self._ends)
        return f"{source} --{self.label}--> {target}"

    @property
    def _ends(self) -> tuple[Event | Scope | History, ...]:
        return self.source, self.target

    @property
    def edge(self) -> Edge:
        """The edge that the transition is named by; an edge into a scope is one into its history."""
        return Edge(self.source, self.target.scope if isinstance(self.target, History) else self.target)

    @property
    def leads_to_history(self) -> bool:
        """Whether the target is the history of a scope instead of a phase."""
        return isinstance(self.target, History)
