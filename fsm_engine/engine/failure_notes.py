"""Notes that say where in a run an exception was raised: in which handler, at which event and iteration.

The loop does nothing for them: the handler is read from the frames of the traceback after the exception was raised.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.engine.explain import name_of_handler, source_place
from fsm_engine.graph.code import Code, CodeFragment
from fsm_engine.graph.positions import phase_at

_DIRECT_CALLS = (EventDispatcher.fire_event.__code__, EventDispatcher._call_handlers.__code__)
"""Methods that call the only handler of an event themselves; their variables are `entry` and `direct`."""

_CALL = re.compile(r"\b(handler|filter)(\d*)_(\d+)\(")
"""A call of a handler or of its filter in generated text, with the numbers of the phase and of the handler."""


def add_notes(engine: EventDispatcher, error: BaseException) -> None:
    """Add a note to `error` that names the handler or the phase that raised it, and the counters of the run.

    A second note has the hint of the step, if it knows the mistake. Python 3.10 has no notes. An exception that a
    handler of EXCEPTION_RAISED raises again has its notes already.
    """
    add_note = getattr(error, "add_note", None)
    if add_note is None or not isinstance(error, Exception) or error is engine._failure.error:
        return
    try:
        for note in _notes(engine, error):
            add_note(note)
    except Exception:  # such as an exception class that allows no attributes; an error here would hide `error`
        engine.logger.debug("No note was added to %r.", error, exc_info=True)


def _notes(engine: EventDispatcher, error: Exception) -> Iterator[str]:
    number = phase_at(engine._cursor.position)
    if not number:
        return
    calls, line = _handler_calls(engine, error.__traceback__)
    if calls:
        yield f"Raised in {calls[-1]}{_counters(engine)}."
        if isinstance(error, KeyError) and "metrics[" in _last_line(error):
            yield f"engine.state.metrics has {', '.join(map(repr, engine.state.metrics)) or 'no metric yet'}."
        return
    phase = engine._graph.phases[number]
    in_step = " (the step)" if _is_step(phase.activity, line) else ""
    yield f"Raised in {phase}{in_step}{_counters(engine)}."
    hint = getattr(engine._step, "hint_at_mistake", None) if in_step else None
    text = None if hint is None else hint(engine, error)
    if text:
        yield text


def _is_step(activity: Code | None, line: str) -> bool:
    """Return True if `line` of the generated function belongs to the step or to a part of it."""
    return isinstance(activity, CodeFragment) and activity.is_step and line.strip() in activity.text


def _last_line(error: Exception) -> str:
    """Return the line of code that raised `error`."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return "" if traceback is None else linecache.getline(traceback.tb_frame.f_code.co_filename, traceback.tb_lineno)


def _counters(engine: EventDispatcher) -> str:
    names = (*(("epoch", "iteration") if engine._graph.has_epochs else ()), *engine._graph.counters.values())
    texts = [f"{name} {getattr(engine.state, name, None)}" for name in dict.fromkeys(names)]
    if (given := getattr(engine, "name", None)) is not None:
        texts.append(f"engine {given!r}")
    return "".join(f", {text}" for text in texts)


def _handler_calls(engine: EventDispatcher, traceback: TracebackType | None) -> tuple[list[str], str]:
    """Return the calls of handlers of `engine` in a traceback, outermost first, and the last line that the engine ran.

    Only the variables of frames that have ended are read, because reading those of a running frame keeps them alive.
    """
    calls: list[str] = []
    line = ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        call = None
        if code in _DIRECT_CALLS:
            call = _direct_call(engine, traceback.tb_frame.f_locals)
        elif code.co_filename.startswith("<fsm_engine ") and traceback.tb_frame.f_locals.get("engine") is engine:
            line = linecache.getline(code.co_filename, traceback.tb_lineno)
            call = _generated_call(engine, line, traceback.tb_frame.f_locals)
        if call is not None:
            calls.append(call)
        traceback = traceback.tb_next
    return calls, line


def _direct_call(engine: EventDispatcher, variables: dict[str, Any]) -> str | None:
    handler = variables.get("direct")
    return None if handler is None or variables["self"] is not engine else _call(engine, variables["entry"], handler)


def _generated_call(engine: EventDispatcher, line: str, variables: dict[str, Any]) -> str | None:
    match = _CALL.search(line)
    if match is None:
        return None
    what, number, index = match.groups()
    call = _call(engine, variables[f"entry{number}"], variables[f"handler{number}_{index}"])
    return f"the event_filter of {call}" if what == "filter" else call


def _call(engine: EventDispatcher, entry: Any, handler: Any) -> str:
    for _ in engine._wrappers:  # functions that time the handler
        handler = handler.__closure__[handler.__code__.co_freevars.index("handler")].cell_contents
    return f"the handler {name_of_handler(handler)} ({source_place(handler)}) of {entry.event}"
