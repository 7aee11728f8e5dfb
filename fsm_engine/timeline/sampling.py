"""Which iterations are recorded, if not all of them: one in so many, whole, and everything outside of iterations."""

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


class Turn:
    """The phases that come again with each iteration: those of its scope, and those that lead from one to the next.

    Attributes:
        phases: their numbers.
        before: those of them that come before the scope, such as the wait for a batch.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        steps = {number for number, phase in enumerate(graph.phases) if Scope.ITERATION.contains(phase.scope)}
        self._steps = steps
        epoch = {number for number, phase in enumerate(graph.phases) if Scope.EPOCH.contains(phase.scope)}
        ways = {number: {target for _, target in self._moves(number)} & epoch for number in epoch}
        there = _reached(ways, steps)
        self.phases = {number for number in there if _reached(ways, ways[number]) & steps} | steps
        entries = {graph.index[transition.target] for transition in self.entries()}  # type: ignore[index]
        onward = {number: ways[number] & self.phases - steps for number in self.phases}
        self.before = _reached(onward, entries - steps)

    def _moves(self, number: int) -> list[tuple[Transition, int]]:
        index = self._graph.index
        exits = self._graph.exits[number]
        return [(t, index[t.target]) for t in exits if not isinstance(t.target, History)]

    def entries(self) -> Iterator[Transition]:
        """Yield the moves from elsewhere that begin an iteration; one back to where a run was goes on with it."""
        for number in set(range(len(self._graph.phases))) - self.phases:
            for transition, target in self._moves(number):
                if transition.trigger is Trigger.AUTOMATIC and target in self.phases:
                    yield transition

    def inside(self) -> Iterator[tuple[Transition, bool]]:
        """Yield the moves from a phase of the turn to another, and whether each begins the next iteration."""
        after = self.phases - self.before - self._steps
        for number in self.phases:
            for transition, target in self._moves(number):
                if target in self.before:
                    yield transition, number not in self.before
                elif target in self.phases:
                    yield transition, number in after and target in self._steps


def _reached(ways: dict[int, set[int]], start: Iterable[int]) -> set[int]:
    found, waiting = set(start), list(start)
    while waiting:
        new = ways.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def check_every(every: int, graph: Graph) -> None:
    """Refuse to record one iteration in so many where that means nothing.

    Raises:
        ValueError: no positive integer, or there are no iterations.
    """
    check_positive_integer("every", every, "one iteration in every so many is recorded")
    if every > 1 and not Turn(graph).phases:
        raise ValueError(
            f"every={every} records one iteration in {every}, and this lifecycle has none: no phase is in the scope "
            f"iteration. Leave every= out, or put the phases that come again into Scope.ITERATION."
        )


class Sampler:
    """Passes on the moves of one iteration in so many, and those outside of iterations.

    Args:
        sampling: where iterations are counted.
        record: what is called with a move that is recorded.
        record_last: what is called instead if those that follow are left out.

    Attributes:
        left_out: whether the iteration that is going on is not recorded.
    """

    __slots__ = (
        "_begins",
        "_entries",
        "_is_kept",
        "_record",
        "_record_last",
        "_sampling",
        "_silent",
        "_turns",
        "left_out",
    )

    def __init__(self, sampling: Sampling, record: MoveObserver, record_last: MoveObserver) -> None:
        self._sampling, self._record, self._record_last = sampling, record, record_last
        self._turns: dict[Graph, Turn] = {}
        self._begins: dict[int, bool] = {}  # for the moves inside a turn, by their id: whether they begin the next
        self._entries: set[int] = set()  # the ids of moves from elsewhere that begin an iteration
        self._silent: set[str] = set()  # the labels that only moves within an iteration have: looked up in no time
        self._is_kept = True
        self.left_out = False

    def know(self, graph: Graph) -> None:
        """Learn which moves of a graph are those of an iteration."""
        turn = self._turns[graph] = Turn(graph)
        self._begins.update((id(transition), begins) for transition, begins in turn.inside())
        self._sampling.phases |= {qualified_name(graph.phases[number]) for number in turn.phases}
        self._entries.update(map(id, turn.entries()))
        moves = [transition for known in self._turns for exits in known.exits for transition in exits]
        within = [self._begins.get(id(transition)) is False for transition in moves]
        self._silent.update(move.label for move, is_within in zip(moves, within) if is_within)
        self._silent.difference_update(move.label for move, is_within in zip(moves, within) if not is_within)

    def move_observer(self) -> MoveObserver:
        """Return what has to be called with each move."""
        begins_of, record, silent, sampling = self._begins.get, self._record, self._silent, self._sampling
        every = sampling.every

        def move(engine: Any, transition: Transition) -> None:
            if self.left_out and transition.label in silent:
                return
            begins = begins_of(id(transition))
            if begins and self.left_out and sampling.iterations % every:
                sampling.iterations += 1
            elif begins:
                self._begin()
                self._pass(engine, transition, True)
            elif begins is None:
                self._outside(engine, transition)
            elif not self.left_out:
                record(engine, transition)

        return move

    def around(self, handler: Handler, timed: Handler, alone: bool) -> Handler:
        """Return what calls `handler` in iterations that are left out, and `timed` else."""

        def called(*args: Any, **kwargs: Any) -> Any:
            return (handler if self.left_out else timed)(*args, **kwargs)

        def called_alone(engine: Any) -> None:
            (handler if self.left_out else timed)(engine)

        return called_alone if alone else called

    def _begin(self) -> None:
        self._is_kept = self._sampling.iterations % self._sampling.every == 0
        self._count(1)

    def _count(self, number: int) -> None:
        self._sampling.iterations += number
        self._sampling.kept += number * self._is_kept

    def _pass(self, engine: Any, transition: Transition, is_inside: bool) -> None:
        self.left_out = is_inside and not self._is_kept
        (self._record_last if self.left_out else self._record)(engine, transition)

    def _outside(self, engine: Any, transition: Transition) -> None:
        """Pass on a move that is none from phase to phase of an iteration: it may enter one, or leave it."""
        graph = engine.lifecycle.graph
        turn = self._turns.get(graph)
        if turn is None:
            self._record(engine, transition)
            return
        source, target = graph.index.get(transition.source), graph.index.get(transition.target)
        if source in turn.before:
            self._count(-1)  # it has not come to its step
        if id(transition) in self._entries:
            self._begin()
        elif target in turn.before:
            self._count(1)
        self._pass(engine, transition, target in turn.phases)
