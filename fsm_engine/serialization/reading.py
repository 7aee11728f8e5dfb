"""A lifecycle read from a dictionary that may hold anything: every value is looked at, and nothing is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any, TypeVar

from fsm_engine._util.errors import LifecycleError
from fsm_engine.events.events import Event, EventEnum
from fsm_engine.events.placeholders import Unbound, unbound_error
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Call, Code, Graph, Payload, Phase, Transition, Trigger
from fsm_engine.graph.signals import Signal
from fsm_engine.lifecycle.edits import called, check_counter
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.serialization import library
from fsm_engine.serialization.dictionary import (
    DEEPEST,
    FORMAT,
    PHASE,
    TRANSITION,
    VERSION,
    escaped_name,
    outer_paths,
    snippet_of,
)
from fsm_engine.serialization.found import Found, is_plain, nearest, shown

T = TypeVar("T")


def from_dict(data: Any, bind: Mapping[str, Any] | None = None, places: Mapping[str, str] | None = None) -> Lifecycle:
    """Return the lifecycle of a dictionary; see `dictionary`.

    Args:
        data: what `to_dict` gave.
        bind: the user's functions, enums of events, exceptions and other objects, by the names in it. What is not
            bound can be looked at and compared; a run is refused.
        places: better names for places in `data`, for messages.

    Raises:
        LifecycleError: for anything that is no lifecycle, with where, what was found and what is legal.
        TypeError: if `bind` is no mapping.
    """
    if bind is not None and not isinstance(bind, Mapping):
        raise TypeError(f"bind={bind!r} has to be a mapping of names to what they mean.")
    return _Reader(bind or {}).read(Found(data, places=places or {}))


class _Reader:
    def __init__(self, bind: Mapping[str, Any]) -> None:
        self.bind = bind
        self.events: dict[str, Event] = {}

    def read(self, found: Found) -> Lifecycle:
        _check_version(found)
        top = found.table(("format", "version", "name", "phases", "transitions"), ("step", "required"))
        floating: set[Event] = set()
        phases = self._phases(top["phases"], floating)
        transitions = [self._transition(one) for one in top["transitions"].items()]
        lifecycle = Lifecycle.of(Graph(tuple(phases), tuple(transitions)), top["name"].text())
        lifecycle._floating = frozenset(floating)
        lifecycle.step = _of(top, "step", self._function)
        lifecycle._required = tuple(self._rule(one) for one in _items(top, "required"))
        return lifecycle

    def _phases(self, found: Found, floating: set[Event]) -> list[Phase]:
        phases, seen = [], dict[Any, Found]()
        for one in found.items():
            parts = one.table(PHASE[:1], PHASE[1:])
            event = self._named_event(parts["event"])
            parts["event"].unique(seen, parts["event"].text())
            self.events[parts["event"].text()] = event
            phases.append(self._phase(event, parts))
            if _of(parts, "floating", Found.flag):
                floating.add(event)
        return phases

    def _phase(self, event: Event, parts: Mapping[str, Found]) -> Phase:
        counter = _of(parts, "counter", _counter)
        return Phase(
            event=event,
            scope=_of(parts, "scope", _scope),
            entry=tuple(self._code(one, "entry", counter) for one in _items(parts, "entry")),
            activity=_of(parts, "activity", lambda found: self._code(found, "activity")),
            payload=_of(parts, "payload", _payload) or Payload(),
            defer=_of(parts, "defer", lambda found: self._code(found, "defer")),
            counter=counter,
        )

    def _transition(self, found: Found) -> Transition:
        parts = found.table(("label", "trigger"), TRANSITION)
        return Transition(
            source=self._end(found, parts, "from", "from_scope"),
            target=self._end(found, parts, "to", "to_history"),
            label=parts["label"].text(),
            trigger=Trigger(parts["trigger"].one_of([one.value for one in Trigger])),
            signal=_of(parts, "signal", lambda found: Signal(found.one_of([one.value for one in Signal]))),
            guard=_of(parts, "guard", lambda found: self._code(found, "guard")),
            action=_of(parts, "action", lambda found: self._code(found, "action")),
            error=tuple(self._error(one) for one in _items(parts, "error")),
            limit=_of(parts, "limit", Found.count),
        )

    def _end(self, found: Found, parts: Mapping[str, Found], phase: str, scope: str) -> Event | Scope:
        if (phase in parts) == (scope in parts):
            raise found.refused(f"one of {phase!r} and {scope!r} has to be there, and not both.")
        return self._event(parts[phase]) if phase in parts else _scope(parts[scope])

    def _event(self, found: Found) -> Event:
        name = found.text()
        if name not in self.events:
            near = nearest(name, self.events)
            raise found.refused(f"{shown(name)} is no phase. The phases nearest to it in name are {near}.")
        return self.events[name]

    def _named_event(self, found: Found) -> Event:
        name = found.text()
        kind, dot, member = name.partition(".")
        known = library.enum(kind) or self.bind.get(kind)
        if not dot or known is None:
            return name
        if not (isinstance(known, type) and issubclass(known, EventEnum)):
            raise found.refused(f"{kind!r} is bound to {shown(known)}, and has to be the EventEnum with {member}.")
        if member not in known.__members__:
            raise found.refused(f"{kind} has no {shown(member)}. It has {', '.join(known.__members__)}.")
        return known[member]

    def _rule(self, found: Found) -> tuple[Event, Event]:
        parts = found.table(("event", "before"))
        return self._event(parts["event"]), self._event(parts["before"])

    def _error(self, found: Found) -> type[BaseException]:
        key = found.text()
        kind = self.bind.get(key, library.error(key))
        if kind is None:
            if not key.partition("#")[0].isidentifier():
                raise found.wrong("the name of a class of exceptions")
            return unbound_error(key)
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise found.refused(f"{key!r} is bound to {shown(kind)}, and has to be a class of exceptions.")
        return kind

    def _code(self, found: Found, role: str, counter: str | None = None) -> Code:
        if isinstance(found.value, str):
            name = found.text()
            return snippet_of(name, counter) or self._call(found, name, name, {}, role)
        if isinstance(found.value, Mapping) and "function" in found.value:
            return self._function(found)  # type: ignore[no-any-return]
        if not isinstance(found.value, Mapping):
            raise found.wrong(f"the name of the {role}, or an object with 'call' or 'function'")
        parts = found.table(("call",), ("bind", "with", "with_bound"))
        name = parts["call"].text()
        key = _of(parts, "bind", Found.text) or name
        return self._call(found, name, key, self._kwargs(parts), role)

    def _kwargs(self, parts: Mapping[str, Found]) -> dict[str, Any]:
        bound = _of(parts, "with_bound", _names) or {}
        return {
            **(_of(parts, "with", _plain) or {}),
            **{name: self.bind.get(key, Unbound(key, key)) for name, key in bound.items()},
        }

    def _call(self, found: Found, name: str, key: str, kwargs: dict[str, Any], role: str) -> Call:
        if key not in self.bind:
            return Call(Unbound(key, name), name, kwargs=kwargs, keeps=role == "activity")
        try:
            call = called(self.bind[key], f"what {key!r} is bound to, the {role},", name, kwargs, role == "activity")
        except (TypeError, ValueError) as error:
            raise found.refused(str(error)) from error
        return replace(call, name=name)

    def _function(self, found: Found) -> Any:
        parts = {"function": found} if isinstance(found.value, str) else found.table(("function",), ("bind",))
        name = parts["function"].text()
        key = _of(parts, "bind", Found.text) or name
        function = self.bind.get(key, Unbound(key, name))
        if not callable(function):
            raise found.refused(f"{key!r} is bound to {shown(function)}, and has to be a function.")
        return function


def _check_version(found: Found) -> None:
    if not isinstance(found.value, Mapping):
        raise found.wrong(f"an object with {FORMAT!r} as 'format'")
    given = [found.value.get(key) for key in ("format", "version")]
    if given[0] != FORMAT:
        raise found.refused(f"'format' is {shown(given[0])}, but has to be {FORMAT!r}.")
    if type(given[1]) is not int or given[1] != VERSION:
        raise found.refused(f"'version' is {shown(given[1])}, and this fsm_engine reads version {VERSION}.")


def _of(parts: Mapping[str, Found], key: str, read: Callable[[Found], T]) -> T | None:
    """Return what `read` makes of the value of `key`, None if there is none."""
    return read(parts[key]) if key in parts else None


def _items(parts: Mapping[str, Found], key: str) -> list[Found]:
    return parts[key].items() if key in parts else []


def _plain(found: Found) -> dict[str, Any]:
    if not isinstance(found.value, dict) or not is_plain(found.value):
        raise found.wrong("an object of strings, numbers, lists and objects, not too deep")
    return found.value


def _names(found: Found) -> dict[str, str]:
    if not isinstance(found.value, dict) or not all(isinstance(name, str) for name in found.value):
        raise found.wrong("an object of names")
    return {name: one.text() for name, one in found.table((), list(found.value)).items()}


def _scope(found: Found) -> Scope:
    steps = outer_paths(found.text())
    if ".".join(escaped_name(name) for _, name in steps) != found.value or len(steps) > DEEPEST:
        raise found.wrong(f"a path of at most {DEEPEST} scopes, such as 'engine.run', with \\. for a dot in a name")
    return reduce(lambda outer, step: Scope(step[1], outer), steps[1:], Scope(steps[0][1]))


def _counter(found: Found) -> str:
    try:
        check_counter(found.text())
    except LifecycleError:
        raise
    except ValueError as error:
        raise found.refused(str(error)) from error
    return str(found.value)


def _payload(found: Found) -> Payload:
    known = library.payload(found.one_of(library.signatures()))
    assert known is not None  # its signature is among them
    return known
