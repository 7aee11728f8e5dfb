"""Scopes: composite phases, which contain phases and other scopes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from fsm_engine.events.edges import Edge
    from fsm_engine.events.events import EventsList


@dataclass(frozen=True)
class Scope:
    """A composite phase. A transition from a scope leads from each phase inside the scope.

    ``Scope("rollout", Scope.RUN)`` creates a scope; ``lifecycle.add_phase(..., scope=...)`` adds a phase to it.

    Example:
        >>> print(Scope.EPOCH, Scope.RUN.contains(Scope.EPOCH), Scope.EPOCH.contains(Scope.RUN))
        epoch True False
    """

    name: str
    parent: Scope | None = None

    ENGINE: ClassVar[Scope]
    RUN: ClassVar[Scope]
    EPOCH: ClassVar[Scope]
    ITERATION: ClassVar[Scope]

    def contains(self, scope: Scope | None) -> bool:
        """Return True if `scope` is this scope or lies inside it."""
        while scope is not None and scope != self:
            scope = scope.parent
        return scope is not None

    @property
    def path(self) -> tuple[Scope, ...]:
        """The scopes from the outermost to this one."""
        return (self,) if self.parent is None else (*self.parent.path, self)

    def __rshift__(self, target: Any) -> Edge:
        from fsm_engine.events.edges import Edge

        return Edge(self, target)

    def __or__(self, other: Any) -> EventsList:
        from fsm_engine.events.events import EventsList

        return EventsList(self).__or__(other)

    def __str__(self) -> str:
        return self.name


Scope.ENGINE = Scope("engine")
Scope.RUN = Scope("run", Scope.ENGINE)
Scope.EPOCH = Scope("epoch", Scope.RUN)
Scope.ITERATION = Scope("iteration", Scope.EPOCH)
