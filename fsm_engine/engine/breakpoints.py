"""Breakpoints, and Ctrl-C as an interrupt."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fsm_engine.events.edges import Edge, End
from fsm_engine.events.events import AnyEvent, EventsList, without_filter
from fsm_engine.events.priorities import LAST
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.signals import Signal

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher
    from fsm_engine.engine.engine import Engine


def replace(engine: Engine, what: AnyEvent | EventsList | None) -> None:
    """Remove the breakpoints of `engine` and attach others: each of these events or edges interrupts the run.

    Raises:
        ValueError: a run cannot stop at one of them, or it is not registered.
        RuntimeError: interrupts are disabled.
    """
    engine._detach(engine._registry.entries_of(_interrupt))
    engine._has_breakpoints = what is not None
    events = [] if what is None else list(what) if isinstance(what, EventsList) else [what]
    for event in events:
        _check_breakpoint(engine, event)
    if events:
        engine._check_interrupts()
    for event in events:
        engine.add_event_handler(event if isinstance(event, str) else event(priority=LAST), _interrupt)


def _interrupt(engine: EventDispatcher) -> None:
    engine._request_signal(Signal.INTERRUPT, True)


def _check_breakpoint(engine: EventDispatcher, event: Any) -> None:
    engine._registry.entry(event)
    named = without_filter(event)
    target: End = named.target if isinstance(named, Edge) else named  # type: ignore[assignment]
    problem = _problem(engine._graph, target)
    if problem is not None:
        raise ValueError(f"a run cannot stop at {event}: {problem}")


def _problem(graph: Graph, target: End) -> str | None:
    if isinstance(target, Scope) or target not in graph.index:
        return "it is not a phase. Use a phase of the lifecycle, or an edge to one."
    number = graph.index[target]
    if number in graph.fired_phases:
        return (
            "the step enters it, and a run cannot resume inside a step. Make it a phase that the engine enters: "
            f"lifecycle.add_phase({target}, activity=...)."
        )
    if Signal.INTERRUPT in graph.signal_exits[number]:
        return None
    possible = [
        phase.name
        for number, phase in enumerate(graph.phases)
        if Signal.INTERRUPT in graph.signal_exits[number] and number not in graph.fired_phases
    ]
    if possible:
        return f"no edge leaves it on an interrupt. A run can stop at {', '.join(possible)}."
    return (
        "the lifecycle has no edge for interrupts. Add one, such as lifecycle.add(Transition(Scope.RUN, "
        "Events.INTERRUPT, 'interrupt', Trigger.SIGNAL, Signal.INTERRUPT))."
    )


@contextmanager
def interruptible(engine: EventDispatcher) -> Iterator[None]:
    """Make the first SIGINT interrupt the run of `engine`, and a second one raise KeyboardInterrupt.

    Raises:
        RuntimeError: outside the main thread, or interrupts are disabled.
    """
    engine._check_interrupts()
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "interruptible() was entered outside the main thread, but only the main thread receives Ctrl-C. Enter it "
            "in the main thread, or call engine.interrupt(), which works in any thread."
        )

    def on_signal(_number: int, _frame: Any) -> None:
        if engine.is_running and not engine.should_interrupt:
            engine.interrupt()
            engine.logger.warning("Interrupting at the next safe place. Press Ctrl-C again to stop immediately.")
        else:
            raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
