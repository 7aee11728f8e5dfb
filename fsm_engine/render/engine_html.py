"""An engine in a notebook: the state of the run, the handlers, and the lifecycle with the current phase marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fsm_engine._util.html import block, details, escape, table
from fsm_engine._util.short_values import describe_value
from fsm_engine.engine.engine import Engine
from fsm_engine.engine.explain import attachment_of, describe_handler
from fsm_engine.engine.status import progress_of, status_of
from fsm_engine.graph.positions import phase_at
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.render.formats import render
from fsm_engine.timeline.units import SECOND, format_duration


def engine_html(engine: Engine) -> str:
    """Return the output of a notebook for `engine`. Parts that cannot be made are replaced by their error."""
    status = status_of(engine)
    title = (
        f'<p class="title">{escape(type(engine).__name__)} {escape(engine.name or engine.lifecycle.name)}'
        f'<span class="status {escape(status)}">{escape(status)}</span></p>'
    )
    tables = f"<div>{table((), _rows(engine))}{_handlers(engine)}</div>"
    return block(title, _problems(engine.lifecycle), f'<div class="sides">{tables}{_picture(engine.lifecycle)}</div>')


def _rows(engine: Engine) -> Iterator[tuple[str, str]]:
    state = engine.state
    yield "phase", str(engine.phase)
    if engine._cursor.suspended_at is not None:
        yield "resumes in", str(engine._graph.phases[phase_at(engine._cursor.suspended_at)])
    if progress := progress_of(engine):
        yield "progress", ", ".join(progress)
    if state.epoch_length is not None:
        yield "epoch length", str(state.epoch_length)
    if state.dataloader is not None:
        yield "data", _describe_data(state.dataloader)
    if state.output is not None:
        yield "output", describe_value(state.output)
    for name, value in state.metrics.items():
        yield str(name), describe_value(value)
    for name, key in (("last epoch", "EPOCH_COMPLETED"), ("run", "COMPLETED")):
        seconds = state.times.get(key)
        if seconds:  # 0 until it is known
            yield f"time of {name}", format_duration(seconds * SECOND)
    for error, count in state.errors.items():
        yield "recovered from", f"{error}, {count} times"


def _describe_data(data: Any) -> str:
    try:
        return f"{type(data).__name__} of {len(data)}"
    except Exception:  # data without a length
        return type(data).__name__


def _handlers(engine: Engine) -> str:
    rows = [
        (str(entry.event), *describe_handler(attached)[:2], _file(describe_handler(attached).place), str(called))
        for entry in list(engine._registry.entries.values())
        for attached in entry.handlers
        for called in (attachment_of(engine, attached).called,)
    ]
    columns = ("event", "handler", "filter, priority", "defined in", "called")
    count = f"{len(rows)} handler{'s' * (len(rows) != 1)}"
    return details(count, table(columns, rows, left=4)) if rows else f'<p class="note">{count}</p>'


def _file(place: str) -> str:
    return Path(place).name


def _problems(lifecycle: Lifecycle) -> str:
    """Return the errors that keep the lifecycle from running."""
    errors: Iterable[str] = [str(finding) for finding in lifecycle.check() if finding.is_error]
    return "".join(f'<p class="note problem">{escape(error)}</p>' for error in errors)


def _picture(lifecycle: Lifecycle) -> str:
    try:
        return details("lifecycle", render(lifecycle, "svg").decode(), is_open=True)
    except Exception as error:
        return f'<p class="note problem">The lifecycle cannot be drawn: {escape(str(error))}</p>'
