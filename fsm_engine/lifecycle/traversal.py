"""The moves that a run can make, guards aside: what questions and proofs about a graph rest on."""

from __future__ import annotations

from fsm_engine.events.events import is_same
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import Transition


def possible_moves(graph: Graph) -> tuple[tuple[Transition, ...], ...]:
    """Return per phase its exits, without those that no run takes.

    No run takes a signal where an inner scope answers it, or while a step fires phases; nor an error edge behind
    one that takes the same errors, however often, nor that of a scope when its own target fails.
    """
    return tuple(tuple(t for t in exits if _is_taken(graph, number, t)) for number, exits in enumerate(graph.exits))


def _is_taken(graph: Graph, number: int, exit_: Transition) -> bool:
    if exit_.error:
        return not (_is_of_target(exit_) or _is_taken_before(graph, number, exit_))
    if exit_.signal is None:
        return True
    if graph.signal_exits[number][exit_.signal] is not exit_:
        return False
    if exit_.signal is Signal.EXCEPTION:
        return not _is_taken_before(graph, number, exit_)
    return number not in graph.fired_phases


def _is_taken_before(graph: Graph, number: int, exit_: Transition) -> bool:
    """Say whether an error edge that is tried before takes all that `exit_` would."""
    kinds = exit_.error or (BaseException,)
    for earlier in graph.error_edges[number]:
        if earlier is exit_:
            return False
        always = earlier.guard is None and earlier.limit is None and not _is_of_target(earlier)
        if always and all(issubclass(kind, earlier.error) for kind in kinds):
            return True
    return False


def _is_of_target(exit_: Transition) -> bool:
    return exit_.via is not None and is_same(exit_.source, exit_.target)


def leaves_history(exit_: Transition) -> bool:
    """Say whether the place that `exit_` leaves is kept, for an edge into history to lead back to."""
    return bool(exit_.error) or exit_.signal is Signal.INTERRUPT
