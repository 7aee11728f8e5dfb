"""What the library's own lifecycles are made of, by name: a file has the names, and what they mean comes from here.

The tables are derived from the library's graphs. Nothing is found but what is in them.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from functools import cache
from importlib import import_module

from fsm_engine._util import errors
from fsm_engine.events.events import EventEnum, Events
from fsm_engine.graph.graph import Code, Graph, Payload, Snippet
from fsm_engine.lifecycle.edits import Draft
from fsm_engine.lifecycle.step_events import WHOLE_STEP
from fsm_engine.lifecycle.training import OUTER, TRAINING

_ENUMS = {  # and the modules they are in
    "CheckpointEvents": "handlers.checkpoint.checkpoint",
    "Events": "events.events",
    "StepEvents": "lifecycle.step_events",
    "Tbptt_Events": "supervised.tbptt",
}


def enum(name: str) -> type[EventEnum] | None:
    """Return the library's enum of that name."""
    if name not in _ENUMS:
        return None
    return getattr(import_module(f"fsm_engine.{_ENUMS[name]}"), name)  # type: ignore[no-any-return]


def error(name: str) -> type[BaseException] | None:
    """Return the built-in class of exceptions of that name, or the library's."""
    found = getattr(builtins, name, None) or getattr(errors, name, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def snippet(key: str) -> Snippet | None:
    """Return the library's guard, action or activity of that name."""
    return _snippets().get(key)


def key_of(known: Snippet) -> str | None:
    """Return the name by which `snippet` finds a guard, action or activity."""
    return _keys().get(known)


def payload(signature: str) -> Payload | None:
    """Return the payload of that signature, such as ``error=``."""
    return _payloads().get(signature)


def signature(given: Payload) -> str:
    """Return what a payload hands over: the names of its arguments, with ``=`` behind those that are keywords."""
    names = [text.rpartition(".")[2] for text in given.positional]
    return ", ".join([*names, *(f"{name}=" for name in given.keywords)])


def signatures() -> list[str]:
    """Return the signatures of all payloads that hand something over."""
    return sorted(filter(None, _payloads()))


@cache
def _graphs() -> tuple[Graph, ...]:
    """Return the library's graphs, and one with all that edits put in by themselves."""
    edited = Draft(TRAINING, frozenset())
    edited.add_path(WHOLE_STEP, required=True)
    edited.add_transition(Events.ITERATION_STARTED >> "RECOVERY", None, None, Exception, None, None)
    return OUTER, TRAINING, edited.graph


def _codes(graph: Graph) -> Iterator[tuple[Code | None, str]]:
    for phase in graph.phases:
        yield from ((code, f"entry of {phase.event}") for code in phase.entry)
        yield phase.activity, f"activity of {phase.event}"
        yield phase.defer, f"defer of {phase.event}"
    for transition in graph.transitions:
        yield transition.guard, f"guard of {transition}"
        yield transition.action, f"action of {transition}"


@cache
def _keys() -> dict[Snippet, str]:
    """Return the name of each snippet, with the place it was found in where several have one name."""
    places: dict[Snippet, str] = {}
    for graph in _graphs():
        for code, place in _codes(graph):
            if isinstance(code, Snippet):
                places.setdefault(code, place)
    names = [known.name for known in places]
    return {
        known: known.name if names.count(known.name) == 1 else f"{known.name} ({place})"
        for known, place in places.items()
    }


@cache
def _snippets() -> dict[str, Snippet]:
    return {key: known for known, key in _keys().items()}


@cache
def _payloads() -> dict[str, Payload]:
    return {signature(phase.payload): phase.payload for graph in _graphs() for phase in graph.phases}
