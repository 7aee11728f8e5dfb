"""Moves that a run can make if every guard may be true: the basis of queries and proofs about a graph."""

from __future__ import annotations

from fsm_engine.events.events import is_same
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import Transition


def possible_moves(graph: Graph) -> tuple[tuple[Transition, ...], ...]:
    """Return the exits of each phase, without the exits that no run can take.

    Excluded are signal exits of outer scopes for which an inner scope has one, signal exits of fired phases, error
    edges after an edge that always takes the same exceptions, and error edges of a scope from their own target.
    """
    return tuple(tuple(t for t in exits if _is_possible(graph, number, t)) for number, exits in enumerate(graph.exits))


def _is_possible(graph: Graph, number: int, exit_: Transition) -> bool:
    if exit_.error:
        return not (_is_from_target(exit_) or _is_shadowed(graph, number, exit_))
    if exit_.signal is None:
        return True
    if graph.signal_exits[number][exit_.signal] is not exit_:
        return False
    if exit_.signal is Signal.EXCEPTION:
        return not _is_shadowed(graph, number, exit_)
    return number not in graph.fired_phases


def _is_shadowed(graph: Graph, number: int, exit_: Transition) -> bool:
    """Return True if an error edge that is tried earlier takes every exception that `exit_` would take."""
    kinds = exit_.error or (BaseException,)
    for earlier in graph.error_edges[number]:
        if earlier is exit_:
            return False
        always = earlier.guard is None and earlier.limit is None and not _is_from_target(earlier)
        if always and all(issubclass(kind, earlier.error) for kind in kinds):
            return True
    return False


def _is_from_target(exit_: Transition) -> bool:
    return exit_.via is not None and is_same(exit_.source, exit_.target)


def leaves_history(exit_: Transition) -> bool:
    """Return True if an edge into history may later return to the phase that `exit_` leaves."""
    return bool(exit_.error) or exit_.signal is Signal.INTERRUPT
