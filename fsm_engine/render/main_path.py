"""The main path of a lifecycle: what a run goes through when nothing special happens."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from fsm_engine.graph.graph import Call, Graph, History, Snippet, Transition
from fsm_engine.graph.signals import Signal


def main_path(graph: Graph) -> tuple[Transition, ...]:
    """Return the transitions of the longest way from the first phase back to it that visits phases in their order.

    Phases are listed in the order in which they usually come, so a way through the list skips loops and keeps what
    is done in each turn; of several, it is the one with the fewest guards of the user's. If no such way leads back,
    it is the shortest of all ways; if none does, the longest one that visits phases in their order and ends anywhere.
    """
    best: dict[int, tuple[Transition, ...]] = {0: ()}
    ends: list[tuple[Transition, ...]] = []
    for number in range(len(graph.phases)):
        if number not in best:
            continue
        for transition, target in _moves(graph, number):
            way = (*best[number], transition)
            if target == 0:
                ends.append(way)
            elif target > number and _merit(way) > _merit(best.get(target, ())):
                best[target] = way
    return max(ends, key=_merit, default=()) or _shortest(graph) or max(best.values(), key=_merit)


def _merit(way: tuple[Transition, ...]) -> tuple[int, int]:
    """Return what makes one way better than another: how long it is, then how few guards of the user's are on it."""
    return len(way), -sum(isinstance(transition.guard, Call) for transition in way)


def _shortest(graph: Graph) -> tuple[Transition, ...]:
    ways: dict[int, tuple[Transition, ...]] = {0: ()}
    waiting = deque([0])
    while waiting:
        number = waiting.popleft()
        for transition, target in _moves(graph, number):
            if target == 0:
                return (*ways[number], transition)
            if target not in ways:
                ways[target] = (*ways[number], transition)
                waiting.append(target)
    return ()


def _moves(graph: Graph, number: int) -> Iterator[tuple[Transition, int]]:
    """Return the moves that belong to an undisturbed run, with the number of the phase that they lead to."""
    start = graph.signalled[number].get(Signal.RUN) if number == 0 else None
    exits = (*graph.automatic[number], *graph.fired[number].values(), *([start] if start else []))
    for transition in exits:
        settled = isinstance(transition.guard, Snippet) and transition.guard.settled
        if not isinstance(transition.target, History) and transition.via is None and not settled:
            yield transition, graph.index[transition.target]
