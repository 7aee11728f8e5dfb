"""`GraphView`: the phases and transitions that the rules for every edit look at: a whole graph, or the changed part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Protocol

from fsm_engine.events.edges import End
from fsm_engine.events.events import Event
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph, innermost_first
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.transitions import Transition, Trigger


class GraphView(Protocol):
    """The part of a graph that is checked, and the questions of the rules about the rest of the graph."""

    @property
    def phases(self) -> Iterable[Phase]:
        """The phases to check."""
        ...

    @property
    def transitions(self) -> Iterable[Transition]:
        """The transitions to check."""
        ...

    def is_empty(self) -> bool:
        """Return True if the graph has no phases."""
        ...

    def exits(self, phase: Phase) -> Sequence[Transition]:
        """Return the exits of `phase`, then the exits of its scopes, innermost scope first."""
        ...

    def is_fired(self, event: Event) -> bool:
        """Return True if a fired transition leads to the phase of `event`."""
        ...

    def has_end(self, end: End) -> bool:
        """Return True if `end` is a phase, or a scope with phases."""
        ...

    def names(self) -> Sequence[str]:
        """Return the names of all phases of the graph."""
        ...

    def scopes(self) -> Iterable[Scope]:
        """Return the scopes of all phases of the graph."""
        ...


class WholeGraph:
    """A graph of which everything is checked."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.phases, self.transitions = graph.phases, graph.transitions
        self._scopes = {scope for phase in graph.phases if phase.scope is not None for scope in phase.scope.path}

    def is_empty(self) -> bool:
        """Return True if the graph has no phases."""
        return not self.phases

    def exits(self, phase: Phase) -> Sequence[Transition]:
        """Return the exits of `phase`, then the exits of its scopes, innermost scope first."""
        return innermost_first(self._graph.exits[self._graph.index[phase.event]])

    @cached_property
    def _fired(self) -> set[object]:
        return {t.target for t in self.transitions if t.trigger is Trigger.FIRED}

    def is_fired(self, event: Event) -> bool:
        """Return True if a fired transition leads to the phase of `event`."""
        return event in self._fired

    def has_end(self, end: End) -> bool:
        """Return True if `end` is a phase, or a scope with phases."""
        return end in self._scopes if isinstance(end, Scope) else end in self._graph.index

    def names(self) -> Sequence[str]:
        """Return the names of all phases."""
        return [phase.name for phase in self.phases]

    def scopes(self) -> Iterable[Scope]:
        """Return the scopes of all phases."""
        return self._scopes
