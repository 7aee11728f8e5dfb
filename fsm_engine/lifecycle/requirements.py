"""Proofs about a lifecycle graph, by dominators from networkx."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsm_engine.events.events import Event
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.transitions import History
from fsm_engine.lifecycle.traversal import possible_moves

if TYPE_CHECKING:
    import networkx


def path_around(graph: Graph, event: Event, before: Event) -> list[str] | None:
    """Return the names on a shortest path to `before` without `event`, or None if `event` dominates `before`.

    A phase dominates another if every path from the first phase of the graph to the other contains it (Lengauer and
    Tarjan, 1979). Edges into history are ignored: they return to phases that the run has visited already.
    """
    import networkx

    avoided, target = graph.index[event], graph.index[before]
    chain = dominators(graph).get(target)
    if chain is None or avoided in (*chain, target):
        return None
    moves = _moves(graph)
    moves.remove_node(avoided)
    return [graph.phases[number].name for number in networkx.shortest_path(moves, 0, target)]


def dominators(graph: Graph) -> dict[int, tuple[int, ...]]:
    """Return the dominators of each reachable phase except the phase itself, in the order of a run."""
    import networkx

    immediate = networkx.immediate_dominators(_moves(graph), 0)
    chains: dict[int, tuple[int, ...]] = {0: ()}
    for number in immediate:
        pending = []
        while number not in chains:
            pending.append(number)
            number = immediate[number]
        for later in reversed(pending):
            chains[later] = (*chains[number], number)
            number = later
    return chains


def _moves(graph: Graph) -> networkx.DiGraph[int]:
    import networkx

    moves: networkx.DiGraph[int] = networkx.DiGraph()
    moves.add_nodes_from(range(len(graph.phases)))
    moves.add_edges_from(
        (number, graph.index[exit_.target])
        for number, exits in enumerate(possible_moves(graph))
        for exit_ in exits
        if not isinstance(exit_.target, History)
    )
    return moves
