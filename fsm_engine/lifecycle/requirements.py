"""Proofs about a lifecycle graph: the phases that lie on every path to another, with networkx."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fsm_engine.events.events import Event
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.transitions import History
from fsm_engine.lifecycle.traversal import possible_moves

if TYPE_CHECKING:
    import networkx


def path_around(graph: Graph, event: Event, before: Event) -> list[str] | None:
    """Return the names on a shortest path to `before` without `event`, or None if every path contains `event`.

    Edges into history are ignored: they return to phases that the run has visited already.
    """
    import networkx

    avoided, target = graph.index[event], graph.index[before]
    if avoided in (0, target):
        return None
    moves = _moves(graph)
    moves.remove_node(avoided)
    if not networkx.has_path(moves, 0, target):
        return None
    return [graph.phases[number].name for number in networkx.shortest_path(moves, 0, target)]


def dominators(graph: Graph) -> dict[int, tuple[int, ...]]:
    """Return the dominators of each reachable phase except the phase itself, in the order of a run.

    A phase dominates another if every path from the first phase of the graph to the other contains it. The result for a
    chain of n phases has n² / 2 items, so this takes O(n²).
    """
    import networkx

    immediate = networkx.immediate_dominators(_moves(graph), 0)
    return {0: (), **{number: tuple(_chain(immediate, number)[::-1]) for number in immediate}}


def _chain(immediate: Mapping[int, int | None], number: int) -> list[int]:
    """Return the dominators of a phase except the phase itself, the nearest first."""
    chain: list[int] = []
    while number and (outer := immediate[number]) is not None:
        chain.append(outer)
        number = outer
    return chain


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
