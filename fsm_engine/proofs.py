"""Proofs about a lifecycle graph, by networkx."""

from __future__ import annotations

from fsm_engine.events import Event
from fsm_engine.graph import Graph
from fsm_engine.scopes import Scope


def way_around(graph: Graph, event: Event, before: Event) -> list[str] | None:
    """Return a shortest path to the phase of `before` that misses that of `event`, None if `event` dominates it.

    A phase dominates another if every path from the first phase of the graph to the other goes through it
    (Lengauer and Tarjan, 1979). History leads only to where a run has been, so it opens no way of its own.
    """
    import networkx

    moves: networkx.DiGraph[int] = networkx.DiGraph()
    moves.add_nodes_from(range(len(graph.phases)))
    moves.add_edges_from(
        (number, graph.index[exit_.target])
        for number, exits in enumerate(graph.exits)
        for exit_ in exits
        if not isinstance(exit_.target, Scope)
    )
    wanted, target = graph.index[event], graph.index[before]
    immediate = networkx.immediate_dominators(moves, 0)
    if target not in immediate:
        return None
    at = target
    while at not in (wanted, 0):
        at = immediate[at]
    if at == wanted:
        return None
    moves.remove_node(wanted)
    return [graph.phases[number].name for number in networkx.shortest_path(moves, 0, target)]
