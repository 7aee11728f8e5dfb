"""Transitions: the edges of a lifecycle graph."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from fsm_engine.events.edges import Edge, name_of_end
from fsm_engine.events.events import Event
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import Code
from fsm_engine.graph.signals import Signal


class Trigger(Enum):
    """The cause of a transition: the end of an activity, a signal, or a call of `fire_event` in an activity.

    Example:
        >>> [trigger.value for trigger in Trigger]
        ['automatic', 'signal', 'fired']
    """

    AUTOMATIC = "automatic"
    SIGNAL = "signal"
    FIRED = "fired"


@dataclass(frozen=True)
class History:
    """The history of a scope, as the target of a transition: the phase in which the scope was left last.

    It is the deep history of statecharts: phases of inner scopes are restored, too.

    Example:
        >>> lifecycle = Lifecycle.training()
        >>> resume = next(move for move in lifecycle.successors(Events.RESUMED) if isinstance(move.target, History))
        >>> resume.target.name, resume.target.contains(Scope.EPOCH)
        ('run', True)
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
    """An edge of the graph: from a phase, or from each phase of a scope, to a phase or a history.

    Attributes:
        source: the event of a phase, or a scope.
        target: the event of a phase, or the history of a scope.
        label: the name of the transition, unique among the exits of its source.
        trigger: the cause of the transition. At the end of an activity, a run takes the first automatic exit whose
            guard is true.
        signal: the signal, if that is the trigger.
        guard: condition of an automatic transition or an error edge; None is always true.
        action: code executed when the transition is taken.
        error: for an error edge, the exception classes that it handles; its signal is EXCEPTION.
        limit: how often a run can take an error edge; None for any number of times.
        via: for an exit of a phase that stands for a transition of a scope, that scope.

    Example:
        >>> transition = Lifecycle.training().successors(Events.ITERATION_COMPLETED)[0]
        >>> print(transition)
        ITERATION_COMPLETED --epoch_full--> EPOCH_COMPLETED
        >>> transition.label, transition.guard.name
        ('epoch_full', 'epoch_length reached')
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
                f"the target of a transition must be an event or a History, got the scope {self.target}. To return to "
                f"the phase in which the scope was left last, write History(Scope.{self.target.name.upper()})."
            )

    def __str__(self) -> str:
        source, target = map(name_of_end, self.edge.ends)
        return f"{source} --{self.label}--> {target}"

    @property
    def edge(self) -> Edge:
        """The edge from the source to the target; for a history, to its scope."""
        return Edge(self.source, self.target.scope if isinstance(self.target, History) else self.target)
