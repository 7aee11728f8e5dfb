"""The names by which a file refers to the user's objects, and under which ``bind`` supplies them again."""

from __future__ import annotations

from collections.abc import Iterable
from enum import EnumMeta
from types import MethodType
from typing import Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine.events.events import Event, EventEnum
from fsm_engine.events.placeholders import Unbound, UnboundError
from fsm_engine.serialization import library
from fsm_engine.serialization.values import is_name, short_repr


class BindingNames:
    """Assigns each of the user's objects in one lifecycle a distinct name; the second ``score`` becomes ``score#2``.

    The names depend on the order of the calls, so one lifecycle always gets the same names.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self._objects: dict[str, Any] = {}
        for event in events:
            if not isinstance(event, str):
                self._add_enum(type(event))

    def _add_enum(self, enum: type[EventEnum]) -> None:
        name = check_name(enum.__name__)
        other = library.enum(name) or self._objects.setdefault(name, enum)
        if other is not enum:
            raise LifecycleError(f"{enum!r} would be read as {other!r}, which has the same name. Rename one of them.")

    def of(self, target: Any, wanted: str) -> str:
        """Return the name of an object: `wanted`, with a number if another object has it.

        Raises:
            LifecycleError: a file cannot hold the name.
        """
        number, name = 1, target.key if _is_unbound(target) else check_name(wanted)
        while name in self._objects and not _is_same(self._objects[name], target):
            number += 1
            name = f"{wanted}#{number}"
        self._objects[name] = target
        return name

    def of_exception_class(self, target: type[BaseException]) -> str:
        """Return the name of an exception class.

        Raises:
            LifecycleError: the name is not a Python identifier.
        """
        name, known = target.__name__.partition("#")[0], library.exception_class(target.__name__)
        if not name.isidentifier():
            raise LifecycleError(f"the exception class {short_repr(name)} cannot be written to a file. Rename it.")
        if known is target:
            return name
        if known is not None:
            self._objects.setdefault(name, known)
        return self.of(target, name)

    def of_event(self, event: Event) -> str:
        """Return the name of an event, for a member of an enum with the name of the enum.

        Raises:
            LifecycleError: the name of a string event would be read as a member of an enum.
        """
        if not isinstance(event, str):
            return f"{type(event).__name__}.{event.name}"
        enum_name, dot, _ = check_name(event).partition(".")
        if dot and (library.enum(enum_name) or isinstance(self._objects.get(enum_name), EnumMeta)):
            raise LifecycleError(f"the string event {event!r} would be read as a member of {enum_name}. Rename it.")
        return event


def check_name(name: str) -> str:
    """Return `name`.

    Raises:
        LifecycleError: the name is empty or has characters that are not printable.
    """
    if not is_name(name):
        raise LifecycleError(
            f"{short_repr(name)} cannot be written to a file: a name has at least one character, all printable. "
            f"Rename it."
        )
    return name


def _is_unbound(target: Any) -> bool:
    return isinstance(target, Unbound) or (isinstance(target, type) and issubclass(target, UnboundError))


def _is_same(one: Any, other: Any) -> bool:
    if _is_unbound(one) and _is_unbound(other):
        return bool(one.key == other.key)
    return one is other or (isinstance(one, MethodType) and isinstance(other, MethodType) and one == other)
