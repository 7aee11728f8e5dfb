"""Differences between two lifecycle graphs: phases and transitions that were added, removed or changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Generic, TypeVar

from fsm_engine.events.edges import End, name_of_end
from fsm_engine.events.events import Event, EventEnum
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import CodeFragment, Payload, UserCallable, code_name
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import Transition, Trigger

Part = TypeVar("Part", Phase, Transition)
_Key = tuple[End, str]


class Change(Enum):
    """Kind of difference between two lifecycles.

    Example:
        >>> [change.value for change in Change]
        ['added', 'removed', 'changed']
    """

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


_SIGNS = {Change.ADDED: "+", Change.REMOVED: "-", Change.CHANGED: "~"}
_IDENTITY = ("event", "source")
"""Fields that identify a phase or a transition and are never reported as changed."""


@dataclass(frozen=True)
class Changed(Generic[Part]):
    """Phase or transition that differs.

    Attributes:
        before: version of the first lifecycle, None if it was added.
        after: version of the second lifecycle, None if it was removed.
        details: changed fields, such as ``guard: solved -> out_of_patience``.

    Example:
        >>> lifecycle = Lifecycle.training()
        >>> lifecycle.insert("VALIDATE", after=Events.EPOCH_COMPLETED)
        >>> changed = Lifecycle.training().diff(lifecycle).phases["VALIDATE"]
        >>> changed.before, changed.after.name, changed.change.value
        (None, 'VALIDATE', 'added')
    """

    before: Part | None
    after: Part | None
    details: tuple[str, ...] = ()

    @property
    def change(self) -> Change:
        """Kind of the difference."""
        if self.before is None:
            return Change.ADDED
        return Change.REMOVED if self.after is None else Change.CHANGED

    @property
    def columns(self) -> tuple[str, str]:
        """The phase or transition, and the changed fields, as text."""
        part = self.before if self.after is None else self.after
        return f"{'phase ' if isinstance(part, Phase) else ''}{part}", ", ".join(self.details)

    def __str__(self) -> str:
        part, details = self.columns
        return f"{_SIGNS[self.change]} {part}{f' ({details})' if details else ''}"


@dataclass(frozen=True, repr=False)
class Difference:
    """Differences of a second lifecycle from a first; print it for a report. It is false if there are none.

    The order of exits is compared, the order of phases is not, because it does not affect a run. Two functions created
    by the same ``def`` or ``lambda`` are equal.

    Attributes:
        phases: changed phases by event.
        transitions: changed transitions by source and label; by the new label if the label was changed.

    Example:
        >>> lifecycle = Lifecycle.training()
        >>> lifecycle.insert("VALIDATE", after=Events.EPOCH_COMPLETED)
        >>> difference = Lifecycle.training().diff(lifecycle)
        >>> list(difference.phases), bool(difference)
        (['VALIDATE'], True)
    """

    phases: Mapping[Event, Changed[Phase]]
    transitions: Mapping[tuple[End, str], Changed[Transition]]

    def __bool__(self) -> bool:
        return bool(self.phases or self.transitions)

    def __repr__(self) -> str:
        counts = Counter(changed.change for changed in self.phases.values())
        counts.update(changed.change for changed in self.transitions.values())
        return f"<Difference: {', '.join(f'{counts[change]} {change.value}' for change in Change)}>"

    def __str__(self) -> str:
        return "\n".join(map(str, self._parts())) or "no difference"

    def _parts(self) -> list[Changed[Any]]:
        return [*self.phases.values(), *self.transitions.values()]

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, str]:
        from fsm_engine._util.html import block, mimebundle, table

        rows = [(part.change.value, *part.columns) for part in self._parts()]
        columns = ("", "part", "details")
        return mimebundle(self.__str__, lambda: block(table(columns, rows or [("no difference", "", "")])))


def difference(before: Graph, after: Graph) -> Difference:
    """Return the differences of `after` from `before`."""
    renamed = _renamed(before, after)
    old = {renamed.get(_key(t), _key(t)): t for t in before.transitions}
    new = {_key(t): t for t in after.transitions}
    places, new_places = _places(old, new), _places(new, old)

    def of_transitions(key: _Key, one: Transition, other: Transition) -> list[str]:
        moved = _group(one) == _group(other) is not None and places[key] != new_places[key]
        return [*_changes(one, other), *([f"place: {places[key]} -> {new_places[key]}"] if moved else [])]

    return Difference(
        dict(
            _compared(
                {phase.event: phase for phase in before.phases},
                {phase.event: phase for phase in after.phases},
                lambda _, one, other: _changes(one, other),
            )
        ),
        dict(_compared(old, new, of_transitions)),
    )


def _compared(
    old: Mapping[Any, Part], new: Mapping[Any, Part], details: Callable[[Any, Part, Part], list[str]]
) -> Iterator[tuple[Any, Changed[Part]]]:
    for key in dict.fromkeys((*old, *new)):
        one, other = old.get(key), new.get(key)
        if one is None or other is None:
            yield key, Changed(one, other)
        elif found := details(key, one, other):
            yield key, Changed(one, other, tuple(found))


def _key(transition: Transition) -> _Key:
    return transition.source, transition.label


def _renamed(before: Graph, after: Graph) -> dict[_Key, _Key]:
    """Return the new keys of transitions that differ from `before` in the label but not in the rest of the edge."""
    old, new = {_key(t) for t in before.transitions}, {_key(t) for t in after.transitions}
    added = [t for t in after.transitions if _key(t) not in old]
    found: dict[_Key, _Key] = {}
    for transition in before.transitions:
        matches = [t for t in added if _edge(t) == _edge(transition)] if _key(transition) not in new else []
        if matches:
            added.remove(matches[0])
            found[_key(transition)] = _key(matches[0])
    return found


def _edge(transition: Transition) -> tuple[Any, ...]:
    return transition.source, transition.target, transition.trigger, transition.signal, transition.error


def _places(transitions: Mapping[_Key, Transition], others: Mapping[_Key, Transition]) -> dict[_Key, int]:
    """Return the place of each common transition among the common transitions that are tried in order with it."""
    counts: Counter[Any] = Counter()
    places: dict[_Key, int] = {}
    for key in (key for key in transitions if key in others):
        group = _group(transitions[key])
        counts[group] += 1
        places[key] = counts[group]
    return places


def _group(transition: Transition) -> tuple[Any, ...] | None:
    """Return the key of the exits that are tried in order with this one; None if its event or signal selects it."""
    is_tried = transition.trigger is Trigger.AUTOMATIC or bool(transition.error)
    return (transition.source, transition.trigger) if is_tried else None


def _changes(one: Phase | Transition, other: Phase | Transition) -> list[str]:
    """Return a description of each field that differs."""
    names = [field.name for field in fields(one) if field.name not in _IDENTITY]
    pairs = [(name, getattr(one, name), getattr(other, name)) for name in names]
    return [f"{name}: {_arrow(before, after)}" for name, before, after in pairs if not _same(before, after)]


def _arrow(one: Any, other: Any) -> str:
    before, after = _text(one), _text(other)
    return f"{before} -> {after}" if before != after else f"another {after}"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, UserCallable) and isinstance(other, UserCallable):
        return _same_calls(one, other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(_definition(one) == _definition(other))


def _same_calls(one: UserCallable, other: UserCallable) -> bool:
    if (one.name, one.takes_engine, one.sets_output) != (other.name, other.takes_engine, other.sets_output):
        return False
    if one.kwargs.keys() != other.kwargs.keys() or any(not _alike(v, other.kwargs[k]) for k, v in one.kwargs.items()):
        return False
    if one.engine is None or other.engine is None:
        return one.engine is other.engine and _same(one.function, other.function)
    return not difference(one.engine.lifecycle.graph, other.engine.lifecycle.graph)


def _alike(one: Any, other: Any) -> bool:
    """Return True if two arguments are equal; False if ``==`` fails, as for tensors of several elements."""
    try:
        return one is other or bool(one == other)
    except Exception:
        return False


def _definition(value: Any) -> Any:
    """Return the code object of a function or method, which all its closures share, or else the object itself."""
    return getattr(value, "__code__", value)


def _text(value: Any) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return "; ".join(map(_text, value))
    if isinstance(value, Payload):
        return ", ".join((*value.positional, *value.keywords)) or "none"
    if isinstance(value, (Trigger, Signal)):
        return str(value.value)
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, (Scope, EventEnum)):
        return name_of_end(value)
    return code_name(value) if callable(value) or isinstance(value, CodeFragment) else str(value)
