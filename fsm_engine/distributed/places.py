"""`Place`: how far a run has come, in an order that all ranks share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import networkx as nx

from fsm_engine.events.events import Events
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.signals import Signal

_COUNTED = (Events.ITERATION_STARTED, Events.EPOCH_STARTED)
"""The phases whose entry increments a counter that is part of a place."""

BEFORE_RESUMED = -2
"""The order of the first phase of a loaded run, which comes before RESUMED and once more after it."""
_RESUMED = -1


class Place(NamedTuple):
    """A place in the runs of an engine. Places are compared like tuples.

    Attributes:
        run: how many runs of the engine have begun.
        epoch: how many epochs have begun; infinity after the end of the run.
        iteration: how many iterations have begun; if ranks have epochs of different lengths, in the epoch, and infinity
            where another rank may have no iteration any more.
        order: the order of the phase since the last counter changed, from `phase_orders`.
    """

    run: int
    epoch: float
    iteration: float
    order: int


def start_of_run(run: int) -> Place:
    """Return a place before all places of run number `run`, and after the run before."""
    return Place(run, -1, 0, 0)


def end_of_run(run: int) -> Place:
    """Return the place after the end of run number `run`, which is before the next run."""
    return Place(run, math.inf, 0, 0)


def phase_orders(graph: Graph) -> list[int]:
    """Return, per phase, a number that never falls along the transitions of a run until an iteration or epoch begins.

    The phases of a cycle, such as an error edge that tries again, have the same number. A phase that resumes a
    suspended run, after which any phase may come, has a lower number than all others.
    """
    edges: nx.DiGraph[int] = nx.DiGraph()
    edges.add_nodes_from(range(len(graph.phases)))
    edges.add_edges_from(_edges(graph))
    cycles = nx.condensation(edges)
    orders = [0] * len(graph.phases)
    for order, generation in enumerate(nx.topological_generations(cycles)):
        for cycle in generation:
            for phase in cycles.nodes[cycle]["members"]:
                orders[phase] = order
    for phase in graph.terminal - {0}:
        orders[_phase_after_run(graph, phase)] = _RESUMED
    return orders


def first_phase(graph: Graph) -> int:
    """Return the number of the phase in which a new run begins."""
    return _phase_after_run(graph, 0)


def _phase_after_run(graph: Graph, phase: int) -> int:
    return graph.index[graph.signal_exits[phase][Signal.RUN].target]  # type: ignore[index]


def _edges(graph: Graph) -> Iterator[tuple[int, int]]:
    counted = {graph.index[event] for event in _COUNTED if event in graph.index}
    for number, exits in enumerate(graph.exits):
        for exit_ in exits:
            target = graph.index.get(exit_.target)  # type: ignore[arg-type]  # None for history
            is_end = target in graph.terminal or exit_.signal is Signal.RUN
            if target is not None and not is_end and target not in counted:
                yield number, target
