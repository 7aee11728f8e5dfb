"""The library's own enums, exceptions, guards, actions, activities and payloads by name, for files that name them.

The tables are derived from the library's graphs; names that are not in them are not looked up anywhere else.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from functools import cache
from importlib import import_module

from fsm_engine._util import errors
from fsm_engine.events.events import EventEnum, Events
from fsm_engine.graph.code import Code, CodeFragment, Payload
from fsm_engine.graph.graph import Graph
from fsm_engine.lifecycle.edits import Draft
from fsm_engine.lifecycle.step_events import WHOLE_STEP
from fsm_engine.lifecycle.step_parts import plain_graph, supervised_graph, tbptt_graph
from fsm_engine.lifecycle.training import OUTER, TRAINING

_MODULES = {  # of each enum
    "CheckpointEvents": "handlers.checkpoint.checkpoint",
    "Events": "events.events",
    "StepEvents": "lifecycle.step_events",
    "Tbptt_Events": "lifecycle.step_events",
}


def enum(name: str) -> type[EventEnum] | None:
    """Return the library's enum with this name; import its module."""
    if name not in _MODULES:
        return None
    return getattr(import_module(f"fsm_engine.{_MODULES[name]}"), name)  # type: ignore[no-any-return]


def exception_class(name: str) -> type[BaseException] | None:
    """Return the exception class with this name, built-in or of the library."""
    found = getattr(builtins, name, None) or getattr(errors, name, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def fragment(name: str) -> CodeFragment | None:
    """Return the library's guard, action or activity with this name."""
    return _fragments().get(name)


def name_of(fragment: CodeFragment) -> str | None:
    """Return the name by which `fragment` is found."""
    return _names().get(fragment)


def payload(signature: str) -> Payload | None:
    """Return the payload with this signature, such as ``error=``."""
    return _payloads().get(signature)


def signature(payload: Payload) -> str:
    """Return the names of the arguments that a payload passes to handlers, keywords with a ``=`` appended."""
    names = [text.rpartition(".")[2] for text in payload.positional]
    return ", ".join([*names, *(f"{name}=" for name in payload.keywords)])


def signatures() -> list[str]:
    """Return the signatures of all payloads that pass arguments."""
    return sorted(filter(None, _payloads()))


@cache
def _graphs() -> tuple[Graph, ...]:
    """Return the library's graphs, and one that holds the parts that edits add to any graph."""
    edited = Draft(TRAINING, frozenset())
    edited.add_path(WHOLE_STEP, required=True)
    edited.add_transition(Events.ITERATION_STARTED >> "RECOVERY", None, None, Exception, None, None)
    steps = plain_graph(), supervised_graph(accumulates=True, is_scaled=True, may_skip=True), tbptt_graph()
    return OUTER, TRAINING, edited.graph, *steps


def _codes(graph: Graph) -> Iterator[tuple[Code | None, str]]:
    for phase in graph.phases:
        yield from ((code, f"entry of {phase.event}") for code in phase.entry)
        yield phase.activity, f"activity of {phase.event}"
        yield phase.defer, f"defer of {phase.event}"
    for transition in graph.transitions:
        yield transition.guard, f"guard of {transition}"
        yield transition.action, f"action of {transition}"


@cache
def _names() -> dict[CodeFragment, str]:
    """Return the name of each fragment. Where several share one, the place of the first use is appended."""
    places: dict[CodeFragment, str] = {}
    for graph in _graphs():
        for code, place in _codes(graph):
            if isinstance(code, CodeFragment):
                places.setdefault(code, place)
    names = [known.name for known in places]
    return {
        known: known.name if names.count(known.name) == 1 else f"{known.name} ({place})"
        for known, place in places.items()
    }


@cache
def _fragments() -> dict[str, CodeFragment]:
    return {name: known for known, name in _names().items()}


@cache
def _payloads() -> dict[str, Payload]:
    return {signature(phase.payload): phase.payload for graph in _graphs() for phase in graph.phases}
