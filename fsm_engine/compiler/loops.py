"""The layout of the generated function: its reachable phases, and the loops that contain them.

A loop is an interval of phase numbers, from the target of a backward edge to its source. Intervals that start at the
same phase, or overlap without nesting, are merged, so loops nest like the blocks of Python.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fsm_engine.graph.code import CodeFragment, is_static
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.transitions import History, Transition

MAX_DEPTH = 10
"""How deep loops are nested in the generated function. Python allows 20 nested blocks."""


@dataclass(frozen=True)
class Loop:
    """A loop over the phases from number `first` to number `last`, directly inside the loop `parent`."""

    first: int
    last: int
    parent: Loop | None = None

    def contains(self, number: int) -> bool:
        """Return True if the phase with this number is in the loop."""
        return self.first <= number <= self.last


def open_exits(
    graph: Graph, static_values: Mapping[CodeFragment, bool]
) -> dict[int, tuple[tuple[Transition, int], ...]]:
    """Return the automatic exits of each reachable phase, each with the number of its target, -1 for a history.

    Exits whose static guard is false are left out. So are the exits after one whose static guard is true.
    """
    signal_targets = {
        transition.target for exits in graph.exits for transition in exits if transition.signal is not None
    }
    pending = [0, *(graph.index[target] for target in signal_targets if not isinstance(target, History))]
    exits: dict[int, tuple[tuple[Transition, int], ...]] = {}
    while pending:
        number = pending.pop()
        if number not in exits:
            exits[number] = tuple(_open(graph, graph.automatic_exits[number], static_values))
            pending += [target for _, target in exits[number] if target >= 0]
            pending += [graph.index[event] for event in graph.fired_exits[number]]
    return exits


def _open(
    graph: Graph, exits: Iterable[Transition], static_values: Mapping[CodeFragment, bool]
) -> Iterable[tuple[Transition, int]]:
    for transition in exits:
        guard = transition.guard
        if is_static(guard) and not static_values[guard]:
            continue
        yield transition, -1 if isinstance(transition.target, History) else graph.index[transition.target]
        if is_static(guard):
            return


def find_loops(exits: dict[int, tuple[tuple[Transition, int], ...]]) -> list[Loop]:
    """Return the loops, outer loops before inner ones. A loop deeper than `MAX_DEPTH` becomes a part of its parent."""
    backward = {(target, number) for number, out in exits.items() for _, target in out if 0 < target <= number}
    loops: list[Loop] = []
    around: list[Loop] = []
    for first, last in _merged(backward):
        while around and around[-1].last < first:
            around.pop()
        if len(around) < MAX_DEPTH:
            around.append(Loop(first, last, around[-1] if around else None))
            loops.append(around[-1])
    return loops


def _merged(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return `intervals` in order, those that start together or overlap without nesting merged, in O(n log n)."""
    last: dict[int, int] = {}
    for first, end in intervals:
        last[first] = max(end, last.get(first, end))
    around: list[int] = []  # the starts of the intervals around the current one, the innermost at the end
    for first, end in sorted(last.items()):
        while around and last[around[-1]] < first:
            around.pop()
        overlapped = bisect_right(around, -end, key=lambda start: -last[start])  # the outermost one that ends before
        if overlapped == len(around):
            around.append(first)
        else:
            del last[first]
            last[around[overlapped]] = end
    return sorted(last.items())
