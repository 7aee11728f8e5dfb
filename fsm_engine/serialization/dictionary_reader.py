"""`from_dict`: a lifecycle from an untrusted dictionary. Every value is checked; nothing is evaluated or imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any, TypeVar

from fsm_engine._util.signatures import check_runs_when_called
from fsm_engine.events.events import Event, EventEnum
from fsm_engine.events.placeholders import Unbound, unbound_error
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import Code, Payload, UserCallable
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition, Trigger
from fsm_engine.lifecycle.edits import check_counter, user_callable
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.serialization import library
from fsm_engine.serialization.dictionary import (
    FORMAT,
    MAX_SCOPE_DEPTH,
    PHASE_KEYS,
    TRANSITION_KEYS,
    VERSION,
    escaped_name,
    fragment_named,
    split_path,
)
from fsm_engine.serialization.values import Value, closest, is_json, is_name, short_repr

T = TypeVar("T")


def from_dict(data: Any, bind: Mapping[str, Any] | None = None, aliases: Mapping[str, str] | None = None) -> Lifecycle:
    """Return the lifecycle of a dictionary in the form that `dictionary` describes.

    Args:
        data: the dictionary, such as `to_dict` returns.
        bind: the user's functions, event enums, exception classes and other objects, by their names in `data`. A
            lifecycle with unbound names can be inspected and compared; running it is an error.
        aliases: locations for error messages, see `Value.aliases`.

    Raises:
        LifecycleError: `data` is not a lifecycle; the message names the location, the value and the legal values.
        TypeError: `bind` is not a mapping.
    """
    if bind is not None and not isinstance(bind, Mapping):
        raise TypeError(f"bind={bind!r} must be a mapping of names to objects.")
    return _Reader(bind or {}).read(Value(data, aliases=aliases or {}))


class _Reader:
    def __init__(self, bind: Mapping[str, Any]) -> None:
        self.bind = bind
        self.events: dict[str, Event] = {}

    def read(self, value: Value) -> Lifecycle:
        _check_version(value)
        fields = value.fields(("format", "version", "name", "phases", "transitions"), ("step", "required"))
        unscoped: set[Event] = set()
        phases = self._phases(fields["phases"], unscoped)
        transitions = [self._transition(one) for one in fields["transitions"].items()]
        lifecycle = Lifecycle.of(Graph(tuple(phases), tuple(transitions)), fields["name"].name())
        lifecycle._unscoped = frozenset(unscoped)
        lifecycle.step = _optional(fields, "step", self._function)
        lifecycle._required = tuple(self._requirement(one) for one in _optional_items(fields, "required"))
        return lifecycle

    def _phases(self, value: Value, unscoped: set[Event]) -> list[Phase]:
        phases, seen = [], dict[Any, Value]()
        for one in value.items():
            fields = one.fields(PHASE_KEYS[:1], PHASE_KEYS[1:])
            event = self._new_event(fields["event"])
            fields["event"].check_unique(seen)
            self.events[fields["event"].name()] = event
            phases.append(self._phase(event, fields))
            if _optional(fields, "unscoped", Value.boolean):
                unscoped.add(event)
        return phases

    def _phase(self, event: Event, fields: Mapping[str, Value]) -> Phase:
        counter = _optional(fields, "counter", _counter)
        return Phase(
            event=event,
            scope=_optional(fields, "scope", _scope),
            entry=tuple(self._code(one, "entry", counter) for one in _optional_items(fields, "entry")),
            activity=_optional(fields, "activity", lambda value: self._code(value, "activity")),
            payload=_optional(fields, "payload", _payload) or Payload(),
            defer=_optional(fields, "defer", lambda value: self._code(value, "defer")),
            counter=counter,
        )

    def _transition(self, value: Value) -> Transition:
        fields = value.fields(("label", "trigger"), TRANSITION_KEYS)
        target = self._end(value, fields, "to", "to_history")
        return Transition(
            source=self._end(value, fields, "from", "from_scope"),
            target=History(target) if isinstance(target, Scope) else target,
            label=fields["label"].name(),
            trigger=Trigger(fields["trigger"].choice([one.value for one in Trigger])),
            signal=_optional(fields, "signal", lambda value: Signal(value.choice([one.value for one in Signal]))),
            guard=_optional(fields, "guard", lambda value: self._code(value, "guard")),
            action=_optional(fields, "action", lambda value: self._code(value, "action")),
            error=tuple(self._exception_class(one) for one in _optional_items(fields, "error")),
            limit=_optional(fields, "limit", Value.positive_integer),
        )

    def _end(self, value: Value, fields: Mapping[str, Value], phase: str, scope: str) -> Event | Scope:
        if (phase in fields) == (scope in fields):
            raise value.error(f"exactly one of the keys {phase!r} and {scope!r} is required.")
        return self._event(fields[phase]) if phase in fields else _scope(fields[scope])

    def _event(self, value: Value) -> Event:
        """Return the event of a phase that the document has."""
        name = value.name()
        if name not in self.events:
            raise value.error(
                f"there is no phase {short_repr(name)}. The closest names are {closest(name, self.events)}."
            )
        return self.events[name]

    def _new_event(self, value: Value) -> Event:
        """Return the event of a phase: a member of a known enum, or else a string."""
        name = value.name()
        enum_name, dot, member = name.partition(".")
        enum = library.enum(enum_name) or self.bind.get(enum_name)
        if not dot or enum is None:
            return name
        if not (isinstance(enum, type) and issubclass(enum, EventEnum)):
            raise value.error(f"{enum_name!r} is bound to {short_repr(enum)}, but must be the EventEnum with {member}.")
        if member not in enum.__members__:
            raise value.error(f"{enum_name} has no member {short_repr(member)}. It has {', '.join(enum.__members__)}.")
        return enum[member]

    def _requirement(self, value: Value) -> tuple[Event, Event]:
        fields = value.fields(("event", "before"))
        return self._event(fields["event"]), self._event(fields["before"])

    def _exception_class(self, value: Value) -> type[BaseException]:
        name = value.name()
        found = self.bind.get(name, library.exception_class(name))
        if found is None:
            if not name.partition("#")[0].isidentifier():
                raise value.mismatch("the name of an exception class")
            return unbound_error(name)
        if not (isinstance(found, type) and issubclass(found, BaseException)):
            raise value.error(f"{name!r} is bound to {short_repr(found)}, but must be an exception class.")
        return found

    def _code(self, value: Value, role: str, counter: str | None = None) -> Code:
        if isinstance(value.content, str):
            name = value.name()
            return fragment_named(name, counter) or self._call(value, name, name, {}, role)
        if not isinstance(value.content, Mapping):
            raise value.mismatch(f"the name of the {role}, or an object with 'call' or 'function'")
        if "function" in value.content:
            return self._function(value)  # type: ignore[no-any-return]
        fields = value.fields(("call",), ("bind", "with", "with_bound"))
        name = fields["call"].name()
        return self._call(value, name, _optional(fields, "bind", Value.name) or name, self._kwargs(fields), role)

    def _kwargs(self, fields: Mapping[str, Value]) -> dict[str, Any]:
        bound = _optional(fields, "with_bound", _names) or {}
        return {
            **(_optional(fields, "with", _json_object) or {}),
            **{name: self.bind.get(key, Unbound(key, key)) for name, key in bound.items()},
        }

    def _call(self, value: Value, name: str, key: str, kwargs: dict[str, Any], role: str) -> UserCallable:
        if key not in self.bind:
            return UserCallable(Unbound(key, name), name, kwargs=kwargs, sets_output=role == "activity")
        try:
            call = user_callable(self.bind[key], f"bind[{key!r}], the {role},", name, kwargs, role == "activity")
        except (TypeError, ValueError) as error:
            raise value.error(str(error)) from error
        return replace(call, name=name)

    def _function(self, value: Value) -> Any:
        fields = {"function": value} if isinstance(value.content, str) else value.fields(("function",), ("bind",))
        name = fields["function"].name()
        key = _optional(fields, "bind", Value.name) or name
        function = self.bind.get(key, Unbound(key, name))
        if not callable(function):
            raise value.error(f"{key!r} is bound to {short_repr(function)}, but must be a function.")
        try:
            check_runs_when_called(function, f"bind[{key!r}],")
        except TypeError as error:
            raise value.error(str(error)) from error
        return function


def _check_version(value: Value) -> None:
    if not isinstance(value.content, Mapping):
        raise value.mismatch(f"an object with {FORMAT!r} as 'format'")
    given, version = value.content.get("format"), value.content.get("version")
    if given != FORMAT:
        raise value.error(f"'format' is {short_repr(given)}, but must be {FORMAT!r}.")
    if type(version) is not int or version != VERSION:
        raise value.error(f"'version' is {short_repr(version)}, but this fsm_engine reads version {VERSION}.")


def _optional(fields: Mapping[str, Value], key: str, read: Callable[[Value], T]) -> T | None:
    """Return the value of `key` as converted by `read`; None if the key is absent."""
    return read(fields[key]) if key in fields else None


def _optional_items(fields: Mapping[str, Value], key: str) -> list[Value]:
    return fields[key].items() if key in fields else []


def _json_object(value: Value) -> dict[str, Any]:
    if not isinstance(value.content, dict) or not is_json(value.content):
        raise value.mismatch("an object of strings, numbers, lists and objects, nested at most 16 deep")
    return value.content


def _names(value: Value) -> dict[str, str]:
    if not isinstance(value.content, dict) or not all(map(is_name, value.content)):
        raise value.mismatch("an object of names")
    return {key: name.name() for key, name in value.fields((), list(value.content)).items()}


def _scope(value: Value) -> Scope:
    names = [name for _, name in split_path(value.name())]
    if ".".join(map(escaped_name, names)) != value.content or len(names) > MAX_SCOPE_DEPTH:
        raise value.mismatch(f"a path of at most {MAX_SCOPE_DEPTH} scopes such as 'engine.run', with \\. for a dot")
    return reduce(lambda outer, name: Scope(name, outer), names[1:], Scope(names[0]))


def _counter(value: Value) -> str:
    name = value.name()
    try:
        check_counter(name)
    except ValueError as error:
        raise value.error(str(error)) from error
    return name


def _payload(value: Value) -> Payload:
    payload = library.payload(value.choice(library.signatures()))
    assert payload is not None  # `choice` allows only known signatures
    return payload
