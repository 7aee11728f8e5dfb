"""Stopping a run from outside: breakpoints, and Ctrl-C as an interrupt."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fsm_engine.dispatch.handles import RemovableEventHandle
from fsm_engine.events.edges import Edge, End
from fsm_engine.events.events import AnyEvent, EventsList, without_filter
from fsm_engine.events.priorities import LAST
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.signals import Signal

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher


def attach(engine: EventDispatcher, what: AnyEvent | EventsList) -> list[RemovableEventHandle]:
    """Stop runs of `engine` where one of these events or edges comes by, until the handles are removed.

    Raises:
        ValueError: where no run can stop.
        RuntimeError: if interrupts are switched off.
    """
    events = list(what) if isinstance(what, EventsList) else [what]
    for event in events:
        _check(engine, event)
    engine._check_interrupts()
    lasts = [event if isinstance(event, str) else event(priority=LAST) for event in events]
    return [engine.add_event_handler(last, _breakpoint) for last in lasts]


def detach(handles: Iterable[RemovableEventHandle]) -> None:
    """Take breakpoints out again."""
    for handle in handles:
        handle.remove()


def _breakpoint(engine: EventDispatcher) -> None:
    engine._request_signal(Signal.INTERRUPT, True)


def _check(engine: EventDispatcher, event: Any) -> None:
    engine._registry.entry(event)
    named = without_filter(event)
    end: End = named.target if isinstance(named, Edge) else named  # type: ignore[assignment]
    wrong = _why_not(engine._graph, end)
    if wrong is not None:
        raise ValueError(f"a run cannot stop at {event}: {wrong}")


def _why_not(graph: Graph, end: End) -> str | None:
    if isinstance(end, Scope) or end not in graph.index:
        return "it is no phase. Name a phase of the lifecycle, or an edge to one."
    number = graph.index[end]
    if number in graph.fired_phases:
        return (
            "it is entered inside the step, which cannot be left half done. Make the parts of the step phases with "
            f"activities, which the engine walks to: lifecycle.add_phase({end}, activity=...)."
        )
    if Signal.INTERRUPT in graph.signal_exits[number]:
        return None
    able = [
        phase.name
        for number, phase in enumerate(graph.phases)
        if Signal.INTERRUPT in graph.signal_exits[number] and number not in graph.fired_phases
    ]
    if able:
        return f"no edge takes an interrupt there. It can stop at {', '.join(able)}."
    return (
        "no edge of the lifecycle takes an interrupt. Add one, such as lifecycle.add(Transition(Scope.RUN, "
        "Events.INTERRUPT, 'interrupt', Trigger.SIGNAL, Signal.INTERRUPT))."
    )


@contextmanager
def interruptible(engine: EventDispatcher) -> Iterator[None]:
    """Let the first SIGINT interrupt the run of `engine`, and another raise KeyboardInterrupt.

    Raises:
        RuntimeError: outside the main thread, or if interrupts are switched off.
    """
    engine._check_interrupts()
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "interruptible() was called outside the main thread, which alone is told of Ctrl-C. "
            "Call it there, or call engine.interrupt() from any thread."
        )

    def on_signal(_number: int, _frame: Any) -> None:
        if engine._running and not engine.should_interrupt:
            engine.interrupt()
            engine.logger.warning("Interrupting at the next place where the run may stop; again to stop at once.")
        else:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
