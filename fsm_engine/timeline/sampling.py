"""Sampling: record one iteration in every so many, and everything outside iterations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fsm_engine.dispatch.entries import Handler
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.transitions import History, Transition, Trigger
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.timeline.arguments import check_positive_integer
from fsm_engine.timeline.track import Sampling
from fsm_engine.timeline.track_writer import MoveObserver


class IterationPhases:
    """The phases that an iteration passes: in the scope ``iteration``, and between two iterations.

    Attributes:
        phases: the numbers of all these phases.
        before: the numbers of those that come before the scope, such as the wait for a batch.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        steps = {number for number, phase in enumerate(graph.phases) if Scope.ITERATION.contains(phase.scope)}
        self._steps = steps
        epoch = {number for number, phase in enumerate(graph.phases) if Scope.EPOCH.contains(phase.scope)}
        targets = {number: {target for _, target in self._moves(number)} & epoch for number in epoch}
        after_steps = _reachable(targets, steps)
        self.phases = {number for number in after_steps if _reachable(targets, targets[number]) & steps} | steps
        first = {graph.index[transition.target] for transition in self.entries()}  # type: ignore[index]
        onward = {number: targets[number] & self.phases - steps for number in self.phases}
        self.before = _reachable(onward, first - steps)

    def _moves(self, number: int) -> list[tuple[Transition, int]]:
        index, exits = self._graph.index, self._graph.exits[number]
        return [(t, index[t.target]) for t in exits if not isinstance(t.target, History)]

    def entries(self) -> Iterator[Transition]:
        """Yield the transitions from other phases that begin an iteration. A history continues an iteration."""
        for number in set(range(len(self._graph.phases))) - self.phases:
            for transition, target in self._moves(number):
                if transition.trigger is Trigger.AUTOMATIC and target in self.phases:
                    yield transition

    def inside(self) -> Iterator[tuple[Transition, bool]]:
        """Yield the transitions between these phases, and whether each begins the next iteration."""
        after = self.phases - self.before - self._steps
        for number in self.phases:
            for transition, target in self._moves(number):
                if target in self.before:
                    yield transition, number not in self.before
                elif target in self.phases:
                    yield transition, number in after and target in self._steps


def _reachable(targets: dict[int, set[int]], start: Iterable[int]) -> set[int]:
    found, pending = set(start), list(start)
    while pending:
        new = targets.get(pending.pop(), set()) - found
        found |= new
        pending += new
    return found


def check_every(every: int, graph: Graph) -> None:
    """Raise ValueError if `every` is not a positive integer, or more than 1 for a graph without iterations."""
    check_positive_integer("every", every, "one iteration in every so many is recorded")
    if every > 1 and not IterationPhases(graph).phases:
        raise ValueError(
            f"every={every} records one iteration in {every}, but this lifecycle has no iterations: no phase is in the "
            f"scope iteration. Call record() without every=, or put the phases of an iteration into Scope.ITERATION."
        )


class Sampler:
    """Passes on the moves of one iteration in every so many, and the moves outside iterations.

    Args:
        sampling: counts the iterations.
        record: called with a move to record.
        record_gap: called instead if the iteration after the move is not recorded.

    Attributes:
        is_skipping: True during an iteration that is not recorded.
    """

    __slots__ = (
        "_begins_iteration",
        "_entries",
        "_is_kept",
        "_iteration_phases",
        "_record",
        "_record_gap",
        "_sampling",
        "_silent_labels",
        "is_skipping",
    )

    def __init__(self, sampling: Sampling, record: MoveObserver, record_gap: MoveObserver) -> None:
        self._sampling, self._record, self._record_gap = sampling, record, record_gap
        self._iteration_phases: dict[Graph, IterationPhases] = {}
        self._begins_iteration: dict[int, bool] = {}  # by the id of a transition inside an iteration
        self._entries: set[int] = set()  # the ids of transitions from outside that begin an iteration
        self._silent_labels: set[str] = set()  # labels that only transitions within an iteration have
        self._is_kept = True
        self.is_skipping = False

    def learn(self, graph: Graph) -> None:
        """Find the transitions of `graph` that belong to an iteration."""
        phases = self._iteration_phases[graph] = IterationPhases(graph)
        self._begins_iteration.update((id(transition), begins) for transition, begins in phases.inside())
        self._sampling.phases |= {qualified_name(graph.phases[number]) for number in phases.phases}
        self._entries.update(map(id, phases.entries()))
        transitions = [t for known in self._iteration_phases for exits in known.exits for t in exits]
        within = [self._begins_iteration.get(id(transition)) is False for transition in transitions]
        self._silent_labels.update(t.label for t, is_within in zip(transitions, within) if is_within)
        self._silent_labels.difference_update(t.label for t, is_within in zip(transitions, within) if not is_within)

    def move_observer(self) -> MoveObserver:
        """Return the observer to call with every move."""
        begins_iteration, record, silent = self._begins_iteration.get, self._record, self._silent_labels
        sampling, every = self._sampling, self._sampling.every

        def observe(engine: Any, transition: Transition) -> None:
            if self.is_skipping and transition.label in silent:  # the usual case
                return
            begins = begins_iteration(id(transition))
            if begins and self.is_skipping and sampling.iterations % every:
                sampling.iterations += 1
            elif begins:
                self._begin()
                self._pass(engine, transition, True)
            elif begins is None:
                self._observe_outside(engine, transition)
            elif not self.is_skipping:
                record(engine, transition)

        return observe

    def wrap(self, handler: Handler, timed: Handler, engine_only: bool) -> Handler:
        """Return a function that calls `handler` in iterations that are not recorded, and else `timed`."""

        def call(*args: Any, **kwargs: Any) -> Any:
            return (handler if self.is_skipping else timed)(*args, **kwargs)

        def call_engine_only(engine: Any) -> None:
            (handler if self.is_skipping else timed)(engine)

        return call_engine_only if engine_only else call

    def _begin(self) -> None:
        self._is_kept = self._sampling.iterations % self._sampling.every == 0
        self._count(1)

    def _count(self, number: int) -> None:
        self._sampling.iterations += number
        self._sampling.kept += number * self._is_kept

    def _pass(self, engine: Any, transition: Transition, is_inside: bool) -> None:
        self.is_skipping = is_inside and not self._is_kept
        (self._record_gap if self.is_skipping else self._record)(engine, transition)

    def _observe_outside(self, engine: Any, transition: Transition) -> None:
        """Pass on a move that is not inside an iteration: it may enter one or leave one."""
        graph = engine.lifecycle.graph
        known = self._iteration_phases.get(graph)
        if known is None:
            self._record(engine, transition)
            return
        source, target = graph.index.get(transition.source), graph.index.get(transition.target)
        if source in known.before:
            self._count(-1)  # the iteration is left before its step
        if id(transition) in self._entries:
            self._begin()
        elif target in known.before:
            self._count(1)
        self._pass(engine, transition, target in known.phases)
