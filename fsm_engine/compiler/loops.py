"""How the phases of a graph lie in the emitted function: which are there, and which loops hold them.

A loop is an interval of phase numbers: from the target of an edge back to its source. Intervals that would
cross become one, so loops nest as blocks of Python do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fsm_engine.graph.code import CodeFragment
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.transitions import History, Transition


@dataclass(frozen=True)
class Loop:
    """The phases from number `first` to number `last`, run again and again; `parent` is the loop around it."""

    first: int
    last: int
    parent: Loop | None = None

    def contains(self, number: int) -> bool:
        """Say whether the phase of that number lies in the loop."""
        return self.first <= number <= self.last


def open_exits(graph: Graph, settled: Callable[[CodeFragment], bool]) -> dict[int, tuple[tuple[Transition, int], ...]]:
    """Return the automatic exits of each phase that can be reached, with the number of their target, -1 for history.

    Exits whose settled guard is false are left out, and so are those behind one whose settled guard is true.
    """
    requested = {transition.target for exits in graph.exits for transition in exits if transition.signal is not None}
    entries = [0, *(graph.index[target] for target in requested if not isinstance(target, History))]
    exits: dict[int, tuple[tuple[Transition, int], ...]] = {}
    while entries:
        number = entries.pop()
        if number not in exits:
            exits[number] = tuple(_open(graph, graph.automatic_exits[number], settled))
            entries += [target for _, target in exits[number] if target >= 0]
            entries += [graph.index[event] for event in graph.fired_exits[number]]
    return exits


def _open(
    graph: Graph, exits: Iterable[Transition], settled: Callable[[CodeFragment], bool]
) -> Iterable[tuple[Transition, int]]:
    for transition in exits:
        known = isinstance(transition.guard, CodeFragment) and transition.guard.is_static
        if known and not settled(transition.guard):  # type: ignore[arg-type]
            continue
        yield transition, -1 if isinstance(transition.target, History) else graph.index[transition.target]
        if known:
            return


def find_loops(exits: dict[int, tuple[tuple[Transition, int], ...]]) -> list[Loop]:
    """Return the loops, outer before inner."""
    back = {(target, number) for number, out in exits.items() for _, target in out if 0 < target <= number}
    intervals = sorted(_merged(back), key=lambda interval: (interval[0], -interval[1]))
    loops: list[Loop] = []
    for first, last in intervals:
        around = [loop for loop in loops if loop.contains(first)]
        loops.append(Loop(first, last, around[-1] if around else None))
    return loops


def _merged(intervals: set[tuple[int, int]]) -> set[tuple[int, int]]:
    for a, b in intervals:
        for c, d in intervals:
            if (a, b) != (c, d) and (a < c <= b < d or a == c):
                return _merged(intervals - {(a, b), (c, d)} | {(a, max(b, d))})
    return intervals
