"""Queries about the paths of a run, answered by networkx from the lifecycle graph.

A query is about a single run, including its suspensions: it ends when it returns to the first phase. Guards are
ignored: each of them may be true.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

from fsm_engine.events.edges import name_of_end
from fsm_engine.events.events import Event
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.transitions import History, Transition
from fsm_engine.lifecycle.requirements import dominators
from fsm_engine.lifecycle.traversal import leaves_history, possible_moves

if TYPE_CHECKING:
    import networkx

_START: Any = "start"
_END: Any = "end"
"""Nodes for the start and the end of paths. They are distinct even if both are the same phase."""


class Walk(tuple[Transition, ...]):
    """Sequence of moves, each from the target of the previous one; ``print`` shows ``A --label--> B --label--> C``.

    As in observers, the source of an edge from a scope is the phase that the run left, and the target of an edge into
    history is the phase that the run returned to.

    Example:
        >>> walk = next(Lifecycle.training().paths(Events.TERMINATE, Events.COMPLETED))
        >>> print(walk)
        TERMINATE --end_run--> COMPLETED
    """

    __slots__ = ()

    def __str__(self) -> str:
        if not self:
            return "(no move)"
        return name_of_end(self[0].source) + "".join(
            f" --{move.label}--> {name_of_end(move.edge.target)}" for move in self
        )

    def __repr__(self) -> str:
        return f"<Walk {self}>"


def reachable(graph: Graph, start: int) -> tuple[Event, ...]:
    """Return the phases that a run in `start` may still enter, in the order of the graph."""
    import networkx

    found = {node[0] for node in networkx.descendants(_one_run(graph, start), _START)}
    return tuple(phase.event for number, phase in enumerate(graph.phases) if number in found)


def before_each(graph: Graph) -> dict[Event, tuple[Event, ...]]:
    """Return the dominators of each reachable phase: the phases that every run visits before it, in order."""
    events = [phase.event for phase in graph.phases]
    chains = sorted(dominators(graph).items())
    return {events[number]: tuple(events[other] for other in chain) for number, chain in chains}


def paths(graph: Graph, start: int, end: int, shortest: bool, limit: int | None) -> Iterator[Walk]:
    """Yield the simple paths from `start` to `end` that have at most `limit` moves."""
    import networkx

    moves: Any = _one_run(graph, start, end)
    if shortest:
        yield from _shortest(moves, limit)
        return
    for edges in networkx.all_simple_edge_paths(moves, _START, _END, cutoff=limit):
        walk = Walk(moves.edges[edge]["move"] for edge in edges)
        if len({graph.index[move.target] for move in walk}) == len(walk):  # type: ignore[index]
            yield walk


def _shortest(moves: networkx.MultiDiGraph[Any], limit: int | None) -> Iterator[Walk]:
    import networkx

    if not networkx.has_path(moves, _START, _END):
        return
    for nodes in networkx.all_shortest_paths(moves, _START, _END):
        if limit is not None and len(nodes) > limit + 1:
            return
        steps = [[data["move"] for data in moves[a][b].values()] for a, b in pairwise(nodes)]
        yield from map(Walk, product(*steps))


def _one_run(graph: Graph, start: int, end: int | None = None) -> networkx.MultiDiGraph[Any]:
    """Return the moves of a run from `start` until it reaches `end` or is over.

    A node is a pair of a phase and the set of phases to which history may return, None until the run is suspended or
    fails after `start`: history then returns to a phase left before `start`. Later, history returns to a phase on the
    path. A simple path cannot visit that phase again unless it is `start` or the phase whose activity `start` belongs
    to, so that the sets contain only these.
    """
    import networkx

    activities = _activity_phases(graph)
    history_of = {
        number: activities.get(number, {number}) & activities.get(start, {start}) for number in range(len(graph.phases))
    }
    earlier = _left_before(graph, start, activities)
    histories = [None, *set(map(frozenset, history_of.values()))]
    moves: networkx.MultiDiGraph[Any] = networkx.MultiDiGraph()
    moves.add_nodes_from((_START, _END))
    for number, exits in enumerate(possible_moves(graph)):
        for node in _nodes(number, start, end, histories):
            left = None if node == _START else node[1]
            for exit_ in exits:
                after = frozenset(history_of[number]) if leaves_history(exit_) else left
                if isinstance(exit_.target, History) and left is not None:
                    after = frozenset()
                for move in _resolve_history(graph, exit_, earlier if left is None else left):
                    target = graph.index[move.target]  # type: ignore[index]
                    moves.add_edge(node, _END if target == end else (target, after), move=move)
    return moves


def _nodes(number: int, start: int, end: int | None, left: Iterable[Any]) -> list[Any]:
    if number == start:
        return [_START]
    return [] if number in (0, end) else [(number, places) for places in left]


def _resolve_history(graph: Graph, exit_: Transition, back: Iterable[int]) -> list[Transition]:
    """Return `exit_`, or if it leads into history, a copy for each phase in `back` that it may return to."""
    if not isinstance(exit_.target, History):
        return [exit_]
    inside = (graph.phases[number] for number in sorted(back) if exit_.target.contains(graph.phases[number].scope))
    return [replace(exit_, target=phase.event) for phase in inside]


def _left_before(graph: Graph, start: int, activities: dict[int, set[int]]) -> set[int]:
    """Return the phases in which a run that is in `start` may have been suspended or failed before."""
    import networkx

    if start == 0:
        return set()
    exits = possible_moves(graph)
    moves: networkx.DiGraph[int] = networkx.DiGraph()
    moves.add_nodes_from(range(len(graph.phases)))
    for number in range(1, len(graph.phases)):
        moves.add_edges_from(
            (number, graph.index[t.target]) for t in exits[number] if not isinstance(t.target, History)
        )
    back = {start, *networkx.ancestors(moves, start)}
    left = {n for n, own in enumerate(exits) if any(leaves_history(t) and graph.index[t.target] in back for t in own)}  # type: ignore[index]
    return {begin for number in left for begin in activities.get(number, {number})}


def _activity_phases(graph: Graph) -> dict[int, set[int]]:
    """Return the phases whose activities may fire each fired phase; history returns to the start of that activity."""
    import networkx

    fired: networkx.DiGraph[int] = networkx.DiGraph()
    fired.add_edges_from(
        (number, graph.index[target]) for number, targets in enumerate(graph.fired_exits) for target in targets
    )
    return {n: networkx.ancestors(fired, n) - graph.fired_phases for n in graph.fired_phases}
