"""Leaving a phase after an exception: which edge takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsm_engine.dispatch.step_moves import announce_move, entries_of_move, move
from fsm_engine.engine.failure_notes import add_notes
from fsm_engine.events.edges import name_of_end
from fsm_engine.graph.code import evaluate
from fsm_engine.graph.positions import phase_at
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher


def take_error_edge(engine: EventDispatcher, error: BaseException) -> tuple[Transition, BaseException]:
    """Leave the phase in which `error` was raised; return the edge that was taken and the exception that it took.

    If a guard, an action or a handler raises on the way, its exception replaces `error`, which becomes its context.
    Each of them is called at most once.

    Raises:
        BaseException: no edge takes the exception, because EXCEPTION_RAISED or a phase after it raised it, or an edge
            that can be taken raises each time.
    """
    tried: list[Transition] = []
    raised: list[Transition] = []  # the action of each has been called, and it or a handler raised
    if phase_at(engine._cursor.position) not in engine._graph.recovery_only_phases:
        engine._failure.edges_tried = frozenset()
    while True:
        add_notes(engine, error)
        try:
            edge = _find_error_edge(engine, error, tried)
        except BaseException as other:
            error = other
            continue
        if edge is None:
            _leave_finally(engine)
            raise error
        _log_and_count(engine, edge, error)
        called = len(engine._failure.called)
        try:
            if edge in raised:
                announce_move(engine, edge, entries_of_move(engine._registry, engine._graph, edge))
            else:
                move(engine, edge)
        except BaseException as other:
            if edge in raised and len(engine._failure.called) == called:
                raise  # no handler is left to call, so the edge would raise for ever
            tried.append(edge)
            raised.append(edge)
            error = other
        else:
            return edge, error


def error_edge_name(edge: Transition) -> str:
    """Return the key of an error edge in ``state.errors``."""
    return f"{name_of_end(edge.via or edge.source)}.{edge.label}"


def _find_error_edge(engine: EventDispatcher, error: BaseException, tried: list[Transition]) -> Transition | None:
    graph, counts = engine._graph, engine.state.errors
    number = phase_at(engine._cursor.position)
    for edge in graph.error_edges[number]:
        if edge in tried or not isinstance(error, edge.error) or _would_repeat(engine, edge):
            continue
        if edge.limit is not None and counts.get(error_edge_name(edge), 0) >= edge.limit:
            continue
        if edge.guard is None:
            return edge
        tried.append(edge)  # the guard is evaluated once, even if it raises
        if evaluate(edge.guard, engine):
            return edge
    if engine._failure.final_error is not None:
        return None  # otherwise a phase after EXCEPTION_RAISED that raises would be entered again and again
    return graph.signal_exits[number].get(Signal.EXCEPTION)


def _would_repeat(engine: EventDispatcher, edge: Transition) -> bool:
    """Return True if taking an error edge of a scope would repeat for ever: its recovery has already failed."""
    if edge.via is None:
        return False
    is_unlimited = edge.limit is None and edge.guard is None
    return edge.target == edge.source or (is_unlimited and error_edge_name(edge) in engine._failure.edges_tried)


def _log_and_count(engine: EventDispatcher, edge: Transition, error: BaseException) -> None:
    if not edge.error:
        engine.logger.error("Engine run is terminating in %s due to exception: %s", engine.phase, repr(error))
        return
    counts, name = engine.state.errors, error_edge_name(edge)
    counts[name] = counts.get(name, 0) + 1
    engine._failure.edges_tried |= {name}
    limit = "" if edge.limit is None else f" of at most {edge.limit}"
    # Its repr, because a logging handler that keeps records would keep everything that the traceback refers to.
    engine.logger.warning(
        "%s in %s: taking the error edge to %s, time %s%s.", repr(error), engine.phase, edge.target, counts[name], limit
    )


def _leave_finally(engine: EventDispatcher) -> None:
    """Leave the phase of an exception that no edge takes: by an exit to IDLE, by EXCEPTION, or by the last exit."""
    graph, number = engine._graph, phase_at(engine._cursor.position)
    automatic = [
        transition for transition in graph.automatic_exits[number] if not isinstance(transition.target, History)
    ]
    to_idle = [transition for transition in automatic if transition.target == graph.phases[0].event]
    exception = graph.signal_exits[number].get(Signal.EXCEPTION)
    transition = next(filter(None, [*to_idle, exception, *automatic[-1:]]), None)
    if transition is not None:
        move(engine, transition)
