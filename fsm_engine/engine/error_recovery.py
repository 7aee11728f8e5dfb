"""Leaving a phase by an exception: which error edge takes it, and the handlers that are called on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsm_engine.dispatch.step_moves import move
from fsm_engine.events.edges import name_of_end
from fsm_engine.graph.code import evaluate
from fsm_engine.graph.positions import phase_at
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher


def take_error_edge(engine: EventDispatcher, error: BaseException) -> tuple[Transition, BaseException]:
    """Leave the phase where `error` was raised, and return the edge taken and the error that took it.

    A guard, a handler of an exit, or an action that raises on the way replaces the error, whose context it has; each of
    them is called once.

    Raises:
        BaseException: the error itself, if it came out of EXCEPTION_RAISED or what follows, and no error edge takes it.
    """
    tried: list[Transition] = []
    if phase_at(engine._cursor.position) not in engine._graph.recovery_only_phases:
        engine._failure.edges_tried = frozenset()
    while True:
        try:
            edge = _find_error_edge(engine, error, tried)
        except BaseException as other:
            error = other
            continue
        if edge is None:
            _leave_finally(engine)
            raise error
        tried.append(edge)
        _note(engine, edge, error)
        try:
            move(engine, edge)
        except BaseException as other:
            error = other
        else:
            return edge, error


def error_edge_name(edge: Transition) -> str:
    """Return the name under which ``state.errors`` counts an error edge."""
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
        tried.append(edge)  # it is asked once, and not again if that fails
        if evaluate(edge.guard, engine):
            return edge
    if engine._failure.final_error is not None:
        return None  # a phase behind EXCEPTION_RAISED that fails would be gone through for ever
    return graph.signal_exits[number].get(Signal.EXCEPTION)


def _would_repeat(engine: EventDispatcher, edge: Transition) -> bool:
    """Say whether a scope's edge leads to a recovery that has failed itself, and might do so for ever."""
    if edge.via is None:
        return False
    again = edge.limit is None and edge.guard is None and error_edge_name(edge) in engine._failure.edges_tried
    return again or edge.target == edge.source


def _note(engine: EventDispatcher, edge: Transition, error: BaseException) -> None:
    if not edge.error:
        engine.logger.error("Engine run is terminating in %s due to exception: %s", engine.phase, repr(error))
        return
    counts, name = engine.state.errors, error_edge_name(edge)
    counts[name] = counts.get(name, 0) + 1
    engine._failure.edges_tried |= {name}
    limit = "" if edge.limit is None else f" of at most {edge.limit}"
    # The text, not the error: a handler of the log that keeps records would keep all that its traceback holds.
    engine.logger.warning(
        "%s in %s: going to %s, time %s%s.", repr(error), engine.phase, edge.target, counts[name], limit
    )


def _leave_finally(engine: EventDispatcher) -> None:
    """Leave by an exit that ends the run, or as any error would, or by the last exit there is."""
    graph, number = engine._graph, phase_at(engine._cursor.position)
    automatic = [exit_ for exit_ in graph.automatic_exits[number] if not isinstance(exit_.target, History)]
    ends = [exit_ for exit_ in automatic if exit_.target == graph.phases[0].event]
    way = next(filter(None, [*ends, graph.signal_exits[number].get(Signal.EXCEPTION), *automatic[-1:]]), None)
    if way is not None:
        move(engine, way)
