"""What `Engine.explain` answers: which handlers an event calls, and what became of a handler."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsm_engine.dispatch.entries import Attachment
from fsm_engine.dispatch.step_moves import slots_of_move
from fsm_engine.graph.graph import Transition

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher
    from fsm_engine.events.events import AnyEvent


def explain_event(engine: EventDispatcher, event: AnyEvent) -> str:
    """List the handlers of `event` in the order in which they are called."""
    slot = engine._registry.slot(event)
    if not slot.attached:
        return f"{slot.event} calls nothing: no handler is attached."
    lines = [f"{slot.event} calls, in this order:"]
    for number, attachment in enumerate(slot.attached, 1):
        name, conditions, place = described(attachment)
        lines.append(f"  {number}. {name}{f' ({conditions})' if conditions else ''}  {place}")
    return "\n".join(lines)


def described(attachment: Attachment) -> tuple[str, str, str]:
    """Return the name of a handler, its filter and priority, if it has them, and where it was defined, as file:line."""
    return name_of_handler(attachment.handler), _conditions(attachment), place_of(attachment.handler)


def entries_of(engine: EventDispatcher, event: AnyEvent) -> tuple[Attachment, ...]:
    """Return the entries of the handlers of `event`, in the order in which they are called."""
    return engine._registry.slot(event).attached


def entries_of_move(engine: EventDispatcher, transition: Transition) -> list[Attachment]:
    """Return the entries of the handlers of exits and edges that the move along `transition` calls."""
    slots = slots_of_move(engine._registry, engine._graph, transition)
    return [attachment for slot in slots for attachment in slot.attached]


def handlers_of(engine: EventDispatcher, event: AnyEvent) -> list[str]:
    """Return the handlers of `event` in the order in which they are called, each with file and line, for a picture."""
    attached = engine._registry.slot(event).attached
    return [f"{name_of_handler(a.handler)}  {Path(place_of(a.handler)).name}" for a in attached]


def explain_handler(engine: EventDispatcher, handler: Callable[..., Any]) -> str:
    """Say per event how often it fired, how often the filter of `handler` passed, and the last value."""
    found = engine._registry.of_handler(handler)
    if not found:
        return (
            f"{name_of_handler(handler)} is not attached to any event of this engine, so it is never called. "
            f"Attach it with engine.add_event_handler(event, handler)."
        )
    lines = [f"{name_of_handler(handler)}  {place_of(handler)}"]
    lines += [f"  {line}" for attachment in found for line in _story(engine, attachment)]
    return "\n".join(lines)


def _story(engine: EventDispatcher, attachment: Attachment) -> list[str]:
    slot = engine._registry.slots[attachment.event]
    fired = slot.fired - attachment.since
    passed = fired if attachment.filter is None else attachment.passed
    conditions = _conditions(attachment)
    lines = [f"on {slot.event}{f' ({conditions})' if conditions else ''}: fired {fired}, called {passed}"]
    if attachment.filter is not None and fired:
        counter = slot.counter or "number of firings"
        lines.append(f"  the last value of its {counter} was {attachment.value}")
    if not passed:
        lines.append(f"  not called, because {_reason(attachment, fired)}")
    return lines


def _reason(attachment: Attachment, fired: int) -> str:
    if not fired:
        return f"{attachment.event} has not fired since it was attached"
    return f"the filter {attachment.filter} let none of them through"


def _conditions(attachment: Attachment) -> str:
    parts = [] if attachment.filter is None else [str(attachment.filter)]
    if attachment.priority:
        parts.append(f"priority={attachment.priority}")
    return ", ".join(parts)


def name_of_handler(handler: Any) -> str:
    """Return the name under which a handler is shown."""
    handler = _called(handler)
    return getattr(handler, "__qualname__", type(handler).__qualname__)


def _called(handler: Any) -> Any:
    """Return what a functools.partial calls; anything else is what it is."""
    return handler.func if isinstance(handler, partial) else handler


def place_of(handler: Any) -> str:
    """Say where `handler` was defined, as file:line; a callable object, where its class was."""
    handler = inspect.unwrap(_called(handler))
    for thing in (handler, type(handler)):
        try:
            return f"{inspect.getsourcefile(thing)}:{inspect.getsourcelines(thing)[1]}"
        except (TypeError, OSError):
            continue
    return "(built in)"
