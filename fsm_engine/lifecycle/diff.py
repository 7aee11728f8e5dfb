"""What tells two lifecycle graphs apart: phases and transitions added, removed, changed."""

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
    """How a part differs between two lifecycles."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


_SIGNS = {Change.ADDED: "+", Change.REMOVED: "-", Change.CHANGED: "~"}
_SAME = ("event", "source")
"""What makes a phase, or a transition, go for the same as another."""


@dataclass(frozen=True)
class Changed(Generic[Part]):
    """A phase or transition that differs.

    Attributes:
        before: as it was, None if it was not there.
        after: as it is, None if it is no longer there.
        details: what has changed, such as ``guard: solved -> out_of_patience``.
    """

    before: Part | None
    after: Part | None
    details: tuple[str, ...] = ()

    @property
    def change(self) -> Change:
        """Whether it was added, removed or changed."""
        if self.before is None:
            return Change.ADDED
        return Change.REMOVED if self.after is None else Change.CHANGED

    def __str__(self) -> str:
        part = self.before if self.after is None else self.after
        details = f" ({', '.join(self.details)})" if self.details else ""
        kind = "phase " if isinstance(part, Phase) else ""
        return f"{_SIGNS[self.change]} {kind}{part}{details}"


@dataclass(frozen=True, repr=False)
class Difference:
    """What a second lifecycle has added, removed or changed; false if there is nothing, and made to be printed.

    The order of exits counts, that of phases does not: it changes nothing about what happens. Two functions from
    the same definition count as the same.

    Attributes:
        phases: those that differ, by event.
        transitions: those that differ, by source and label; the new label, if it was changed.
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
        return "\n".join(map(str, (*self.phases.values(), *self.transitions.values()))) or "no difference"


def difference(before: Graph, after: Graph) -> Difference:
    """Return what `after` has added to `before`, removed from it, or changed."""
    renamed = _renamed(before, after)
    old = {renamed.get(_key(t), _key(t)): t for t in before.transitions}
    new = {_key(t): t for t in after.transitions}
    places, new_places = _places(old, new), _places(new, old)

    def of_transitions(key: _Key, one: Transition, other: Transition) -> list[str]:
        moved = _rank(one) == _rank(other) is not None and places[key] != new_places[key]
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
    """Return the new keys of transitions that have another label, and lead between the same phases as before."""
    old, new = {_key(t) for t in before.transitions}, {_key(t) for t in after.transitions}
    added = [t for t in after.transitions if _key(t) not in old]
    found: dict[_Key, _Key] = {}
    for transition in before.transitions:
        twins = [t for t in added if _course(t) == _course(transition)] if _key(transition) not in new else []
        if twins:
            added.remove(twins[0])
            found[_key(transition)] = _key(twins[0])
    return found


def _course(transition: Transition) -> tuple[Any, ...]:
    return transition.source, transition.target, transition.trigger, transition.signal, transition.error


def _places(transitions: Mapping[_Key, Transition], others: Mapping[_Key, Transition]) -> dict[_Key, int]:
    """Return the place of each transition that both graphs have among those that are tried with it."""
    counts: Counter[Any] = Counter()
    places: dict[_Key, int] = {}
    for key in (key for key in transitions if key in others):
        rank = _rank(transitions[key])
        counts[rank] += 1
        places[key] = counts[rank]
    return places


def _rank(transition: Transition) -> tuple[Any, ...] | None:
    """Return what tells which exits are tried one after the other; None if it is chosen by its event or signal."""
    tried = transition.trigger is Trigger.AUTOMATIC or bool(transition.error)
    return (transition.source, transition.trigger) if tried else None


def _changes(one: Phase | Transition, other: Phase | Transition) -> list[str]:
    """Return how two that go for the same differ, in whatever there is to say of them."""
    names = [field.name for field in fields(one) if field.name not in _SAME]
    pairs = [(name, getattr(one, name), getattr(other, name)) for name in names]
    return [f"{name}: {_arrow(before, after)}" for name, before, after in pairs if not _same(before, after)]


def _arrow(one: Any, other: Any) -> str:
    before, after = _shown(one), _shown(other)
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
    """Say whether two arguments are the same, which some, such as tensors, cannot tell by ``==``."""
    try:
        return one is other or bool(one == other)
    except Exception:
        return False


def _definition(thing: Any) -> Any:
    """Return the code of a function or method, which is the same wherever it was made; anything else as it is."""
    return getattr(thing, "__code__", thing)


def _shown(thing: Any) -> str:
    if thing is None or thing == ():
        return "none"
    if isinstance(thing, tuple):
        return "; ".join(map(_shown, thing))
    if isinstance(thing, Payload):
        return ", ".join((*thing.positional, *thing.keywords)) or "none"
    if isinstance(thing, (Trigger, Signal)):
        return str(thing.value)
    if isinstance(thing, type):
        return thing.__name__
    if isinstance(thing, (Scope, EventEnum)):
        return name_of_end(thing)
    return code_name(thing) if callable(thing) or isinstance(thing, CodeFragment) else str(thing)
