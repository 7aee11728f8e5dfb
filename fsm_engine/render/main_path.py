"""The main path of a lifecycle: the transitions of a run in which nothing special happens."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from fsm_engine.graph.code import CodeFragment, UserCallable
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition

Path = tuple[Transition, ...]


def main_path(graph: Graph) -> Path:
    """Return the longest path from the first phase back to it that visits phases in their listed order.

    Phases are listed in the order in which runs usually reach them, so such a path skips loops and keeps everything
    that happens once per iteration. Among paths of the same length, the one with the fewest guards of users wins.
    Without such a path, return the shortest path back to the first phase; without that, the longest path in listed
    order, wherever it ends.
    """
    best: dict[int, Path] = {0: ()}
    complete: list[Path] = []
    for number in range(len(graph.phases)):
        if number not in best:
            continue
        for transition, target in _moves(graph, number):
            path = (*best[number], transition)
            if target == 0:
                complete.append(path)
            elif target > number and _score(path) > _score(best.get(target, ())):
                best[target] = path
    return max(complete, key=_score, default=()) or _shortest(graph) or max(best.values(), key=_score)


def _score(path: Path) -> tuple[int, int]:
    """Return a key that prefers long paths, and among those the ones with few guards of users."""
    return len(path), -sum(isinstance(transition.guard, UserCallable) for transition in path)


def _shortest(graph: Graph) -> Path:
    """Return the shortest path from the first phase back to it by breadth-first search; empty if there is none."""
    paths: dict[int, Path] = {0: ()}
    queue = deque([0])
    while queue:
        number = queue.popleft()
        for transition, target in _moves(graph, number):
            if target == 0:
                return (*paths[number], transition)
            if target not in paths:
                paths[target] = (*paths[number], transition)
                queue.append(target)
    return ()


def _moves(graph: Graph, number: int) -> Iterator[tuple[Transition, int]]:
    """Yield the exits of a phase that an undisturbed run takes, each with the number of its target.

    Signals other than `Signal.RUN`, exits of scopes, history, and exits with a static guard are left out.
    """
    start = graph.signal_exits[number].get(Signal.RUN) if number == 0 else None
    exits = (*graph.automatic_exits[number], *graph.fired_exits[number].values(), *([start] if start else []))
    for transition in exits:
        static = isinstance(transition.guard, CodeFragment) and transition.guard.is_static
        if not isinstance(transition.target, History) and transition.via is None and not static:
            yield transition, graph.index[transition.target]
