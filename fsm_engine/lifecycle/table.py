"""Tables of a lifecycle graph, as text and as Markdown, and qualified names of phases."""

from __future__ import annotations

from collections.abc import Iterable

from fsm_engine._util.markdown import code_span, escape
from fsm_engine._util.tables import align
from fsm_engine.events.edges import End
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import Code, code_name
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.transitions import History, Transition, Trigger

COLUMNS = ("phase", "scope", "on entry", "activity", "exits")


def to_table(graph: Graph) -> str:
    """Return `graph` as a text table: a line for each phase, and a line for each further exit in order."""
    head, *lines = align([COLUMNS, *to_rows(graph)])
    return "\n".join([head, "-" * max(map(len, [head, *lines])), *lines])


def to_rows(graph: Graph) -> list[tuple[str, ...]]:
    """Return the rows of the table. A row with an empty first cell is a further exit of the phase above it."""
    rows: list[tuple[str, ...]] = []
    by_source: dict[End, list[str]] = {}
    for transition in graph.transitions:
        by_source.setdefault(transition.source, []).append(_exit_text(transition))
    for phase in graph.phases:
        exits = by_source.get(phase.event, [""])
        rows.append((phase.name, _name(phase.scope), _names(phase.entry), _name(phase.activity), exits[0]))
        rows += [("", "", "", "", other) for other in exits[1:]]
    for scope, exits in by_source.items():
        if isinstance(scope, Scope):
            rows.append((f"any phase of {scope}", "", "", "", exits[0]))
            rows += [("", "", "", "", other) for other in exits[1:]]
    return rows


def to_markdown(graph: Graph) -> str:
    """Return the table of `graph` in Markdown: a row for each phase, with its exits in order in one cell."""
    merged: list[list[str]] = []
    for name, *cells in to_rows(graph):
        if name:
            merged.append([code_span(name), *map(escape, cells)])
        else:
            merged[-1][-1] += "<br>" + escape(cells[-1])
    lines = [COLUMNS, ["---"] * len(COLUMNS), *merged]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _exit_text(transition: Transition) -> str:
    target = transition.target
    target_text = (
        f"the last phase in {target} (history)" if isinstance(target, History) else str(getattr(target, "name", target))
    )
    if transition.error:
        kinds = " or ".join(kind.__name__ for kind in transition.error)
        limit = "" if transition.limit is None else f", at most {transition.limit} times"
        return f"{_guard_text(transition)}error {kinds}{limit} -> {target_text}{_actions_text(transition)}"
    if transition.trigger is Trigger.SIGNAL:
        return f"signal {transition.label} -> {target_text}"
    fired = "fired " if transition.trigger is Trigger.FIRED else ""
    return f"{_guard_text(transition)}{fired}-> {target_text}{_actions_text(transition)}"


def _guard_text(transition: Transition) -> str:
    return "" if transition.guard is None else f"[{code_name(transition.guard)}] "


def _actions_text(transition: Transition) -> str:
    return "" if transition.action is None else f" / {code_name(transition.action)}"


def _name(value: Code | Scope | None) -> str:
    if value is None:
        return ""
    return value.name if isinstance(value, Scope) else code_name(value)


def _names(codes: Iterable[Code]) -> str:
    return "; ".join(map(code_name, codes))


def qualified_name(phase: Phase) -> str:
    """Return the name of `phase` with the name of its enum, such as ``"Events.STARTED"``; it is unique in a graph."""
    event = phase.event
    return event if isinstance(event, str) else f"{type(event).__name__}.{event.name}"
