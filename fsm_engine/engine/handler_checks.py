"""Checks of the handlers of an engine: filters that no value passes, and callback events that were not fired.

They run in `Engine.check`, and once at the start of a run; they cost nothing during the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from fsm_engine.dispatch.entries import EventEntry, HandlerEntry
from fsm_engine.engine.explain import name_of_handler
from fsm_engine.events.events import Event, Events
from fsm_engine.graph.code import CodeFragment
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.transitions import Transition, Trigger
from fsm_engine.lifecycle.training import TRAINING
from fsm_engine.lifecycle.validation import Finding
from fsm_engine.runtime.cursor import Outcome

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher

_LOOP_EVENTS = (Events.EPOCH_STARTED, Events.GET_BATCH_STARTED, Events.ITERATION_STARTED)
"""The phases that count an epoch or an iteration, or lead to one that does."""


class RunLimits(NamedTuple):
    """The limits of a run; None for those that are unknown."""

    max_epochs: int | None
    max_iters: int | None
    epoch_length: int | None


def findings(engine: EventDispatcher, limits: RunLimits) -> list[Finding]:
    """Return the problems of the handlers of `engine`, for a run with these limits."""
    return [finding for _, finding in _silent_filters(engine, limits)] + list(_never_fired(engine))


def warn(engine: EventDispatcher) -> None:
    """Log each filter that no value in the run that begins passes, once per handler."""
    if not engine._registry.filtered():
        return
    state = engine.state
    limits = RunLimits(state.max_epochs, state.max_iters, state.epoch_length)
    for handler_entry, finding in _silent_filters(engine, limits):
        if not handler_entry.has_warned:
            handler_entry.has_warned = True
            engine.logger.warning("%s", finding)


def _silent_filters(engine: EventDispatcher, limits: RunLimits) -> Iterator[tuple[HandlerEntry, Finding]]:
    filtered = engine._registry.filtered()
    ranges = _ranges(engine._graph, limits) if filtered else {}
    for handler_entry in filtered:
        assert handler_entry.filter is not None
        entry = engine._entries[handler_entry.event]
        least, most = ranges.get(entry.event, (0, inf))  # type: ignore[arg-type]  # edges and exits have no limit
        if not handler_entry.filter.may_pass(least, most):
            yield handler_entry, _not_called(entry, handler_entry, most)


def _not_called(entry: EventEntry, handler_entry: HandlerEntry, most: float) -> Finding:
    handler = f"{name_of_handler(handler_entry.handler)} is not called on {entry.event} ({handler_entry.filter})"
    if most == inf:
        return Finding("never-passes", f"{handler}: no value passes the filter.", "Change its bounds.", is_error=False)
    return Finding(
        "never-passes",
        f"{handler}: {entry.counter} is at most {most} in this run.",
        "Change the filter, or raise the limit of the run.",
        is_error=False,
    )


def _ranges(graph: Graph, limits: RunLimits) -> dict[Event, tuple[int, float]]:
    """Return the least and the greatest counter value of each event that the limits bound."""
    if not _keeps_limits(graph):
        return {}
    epochs = limits.max_epochs or inf
    iterations = limits.max_iters or epochs * (limits.epoch_length or inf)
    return {
        Events.EPOCH_STARTED: (1, epochs),
        Events.EPOCH_COMPLETED: (1, epochs),
        Events.ITERATION_STARTED: (1, iterations),
        Events.ITERATION_COMPLETED: (1, iterations),
        Events.GET_BATCH_STARTED: (0, iterations),
        Events.GET_BATCH_COMPLETED: (0, iterations),
    }


@lru_cache(maxsize=64)
def _keeps_limits(graph: Graph) -> bool:
    """Return True if epochs and iterations repeat as in training, so that a run does not exceed its limits."""
    moves, in_training = (
        [_move(t) for t in g.transitions if t.trigger is Trigger.AUTOMATIC] for g in (graph, TRAINING)
    )
    stops = [
        _move(t) for t in TRAINING.transitions if isinstance(t.guard, CodeFragment) and t.target not in _LOOP_EVENTS
    ]
    repeats_as_in_training = all(move in in_training for move in moves if move[0] in _LOOP_EVENTS)
    return repeats_as_in_training and all(moves.count(stop) >= stops.count(stop) for stop in stops)


def _move(transition: Transition) -> tuple[Any, ...]:
    return transition.target, transition.label, transition.guard


def _never_fired(engine: EventDispatcher) -> Iterator[Finding]:
    if engine.outcome not in (Outcome.COMPLETED, Outcome.TERMINATED):
        return
    for entry in engine._entries.values():
        if entry.callback_event is not None and entry.attached and not entry.fire_count:
            yield Finding(
                "never-fired",
                f"{entry.event} has handlers, but the last run did not fire it.",
                f"Fire it with engine.fire_event({entry.event}), or make it a phase that the step fires, with "
                f"lifecycle.add_path(...).",
                is_error=False,
            )
