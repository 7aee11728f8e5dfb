"""The main path of a lifecycle: the transitions of a run in which nothing special happens."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import CodeFragment, UserCallable
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition

Path = tuple[Transition, ...]


def main_path(graph: Graph) -> Path:
    """Return the longest path of a successful run from the first phase back to it, in the listed order of the phases.

    Phases are listed in the order in which runs usually reach them, so such a path skips loops and keeps everything
    that happens once per iteration. A run that enters a phase to which a signal leads, such as TERMINATE, ends early:
    the path enters as few of them as possible. Among paths of the same length, the one with the fewest guards of users
    wins.
    Without such a path, return the shortest path back to the first phase; without that, the longest path in listed
    order, wherever it ends.
    """
    best = {0: _Step()}
    early = early_ends(graph)
    complete: list[_Step] = []
    for number in range(len(graph.phases)):
        if number not in best:
            continue
        for transition, target in undisturbed_moves(graph, number):
            step = best[number].to(transition, target in early)
            if target == 0:
                complete.append(step)
            elif target > number and (target not in best or step.score > best[target].score):
                best[target] = step
    longest = max(complete, key=_score).path if complete else _shortest(graph)
    return longest or max(best.values(), key=_score).path


@dataclass(frozen=True)
class _Step:
    """The end of a path. Paths share their beginnings, so all of them together take O(n)."""

    before: _Step | None = None
    transition: Transition | None = None
    score: tuple[int, int, int] = (0, 0, 0)

    def to(self, transition: Transition, ends_early: bool = False) -> _Step:
        """Return this path, continued by `transition`.

        The score prefers paths that do not end early, then long paths, then few guards of users.
        """
        early, length, guards = self.score
        guards -= isinstance(transition.guard, UserCallable)
        return _Step(self, transition, (early - ends_early, length + 1, guards))

    @property
    def path(self) -> Path:
        """The transitions of the path."""
        found: list[Transition] = []
        step: _Step | None = self
        while step is not None and step.transition is not None:
            found.append(step.transition)
            step = step.before
        return tuple(reversed(found))


def usual_transitions(graph: Graph, path: Path) -> list[Transition]:
    """Return the transitions beside the main path `path` that belong to an undisturbed run, in the order of the graph.

    They join the phases of the path and the phases that users added. The library's own shortcuts, such as the exit of
    STARTED if nothing is left to do, are rare and left out; its loops, and the branches inside an iteration, are not.
    """
    early, on_path = early_ends(graph), {id(transition) for transition in path}
    reached = {0, *(graph.index[t.target] for t in path if not isinstance(t.target, History))}
    kept = {n for n, phase in enumerate(graph.phases) if n in reached or (is_custom(phase) and n not in early)}
    return [
        transition
        for number in sorted(kept)
        for transition, target in undisturbed_moves(graph, number)
        if id(transition) not in on_path and target in kept
        if target <= number or isinstance(transition.guard, UserCallable) or _may_branch(graph, number, target)
    ]


def _may_branch(graph: Graph, source: int, target: int) -> bool:
    """Return True if a branch from `source` is usual: inside an iteration, or at a phase that a user added."""
    phase = graph.phases[source]
    inside = phase.scope is not None and Scope.ITERATION in phase.scope.path
    return inside or is_custom(phase) or is_custom(graph.phases[target])


def is_custom(phase: Phase) -> bool:
    """Return True if a user defined the event of `phase`."""
    return not type(phase.event).__module__.startswith("fsm_engine.")


def _score(step: _Step) -> tuple[int, int, int]:
    return step.score


def _shortest(graph: Graph) -> Path:
    """Return the shortest path from the first phase back to it by breadth-first search; empty if there is none."""
    steps = {0: _Step()}
    queue = deque([0])
    while queue:
        number = queue.popleft()
        for transition, target in undisturbed_moves(graph, number):
            if target == 0:
                return steps[number].to(transition).path
            if target not in steps:
                steps[target] = steps[number].to(transition)
                queue.append(target)
    return ()


def early_ends(graph: Graph) -> set[int]:
    """Return the numbers of the phases to which a signal other than `Signal.RUN` leads, such as TERMINATE."""
    signals = (transition for transition in graph.transitions if transition.signal not in (None, Signal.RUN))
    return {graph.index[t.target] for t in signals if not isinstance(t.target, History)}


def undisturbed_moves(graph: Graph, number: int) -> Iterator[tuple[Transition, int]]:
    """Yield the exits of a phase that an undisturbed run takes, each with the number of its target.

    Signals other than `Signal.RUN`, exits of scopes, history, and exits with a static guard are left out.
    """
    start = graph.signal_exits[number].get(Signal.RUN) if number == 0 else None
    exits = (*graph.automatic_exits[number], *graph.fired_exits[number].values(), *([start] if start else []))
    for transition in exits:
        static = isinstance(transition.guard, CodeFragment) and transition.guard.is_static
        if not isinstance(transition.target, History) and transition.via is None and not static:
            yield transition, graph.index[transition.target]
