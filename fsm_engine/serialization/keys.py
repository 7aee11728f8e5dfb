"""The names under which a file refers to what is the user's, and by which it is bound again."""

from __future__ import annotations

from collections.abc import Iterable
from enum import EnumMeta
from types import MethodType
from typing import Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine.events.events import Event, EventEnum
from fsm_engine.events.placeholders import Unbound, UnboundError
from fsm_engine.serialization import library
from fsm_engine.serialization.found import is_name, shown


class Keys:
    """Gives everything of the user's in one lifecycle a name of its own: the second of two namesakes gets ``#2``.

    The names depend on the order in which they are asked for, so one lifecycle is always written alike.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self._taken: dict[str, Any] = {}
        for event in events:
            if not isinstance(event, str):
                self._take_enum(type(event))

    def _take_enum(self, kind: type[EventEnum]) -> None:
        name = check_name(kind.__name__)
        other = library.enum(name) or self._taken.setdefault(name, kind)
        if other is not kind:
            raise LifecycleError(f"{kind!r} would be read as {other!r}, which has the same name. Rename one of them.")

    def of(self, thing: Any, wanted: str) -> str:
        """Return the name that binds `thing`, which is `wanted` unless something else has that.

        Raises:
            LifecycleError: if it cannot be written.
        """
        number, key = 1, thing.key if _is_unbound(thing) else check_name(wanted)
        while key in self._taken and not _is_same(self._taken[key], thing):
            number += 1
            key = f"{wanted}#{number}"
        self._taken[key] = thing
        return key

    def of_error(self, kind: type[BaseException]) -> str:
        """Return the name of a class of exceptions.

        Raises:
            LifecycleError: if it is none that a class may have in Python.
        """
        name, known = kind.__name__.partition("#")[0], library.error(kind.__name__)
        if not name.isidentifier():
            raise LifecycleError(f"the exception {shown(name)} cannot be written to a file. Rename it.")
        if known is kind:
            return name
        if known is not None:
            self._taken.setdefault(name, known)
        return self.of(kind, name)

    def of_event(self, event: Event) -> str:
        """Return the name of an event, qualified with that of its enum.

        Raises:
            LifecycleError: if it would be read back as another event.
        """
        if not isinstance(event, str):
            return f"{type(event).__name__}.{event.name}"
        kind, dot, _ = check_name(event).partition(".")
        if dot and (library.enum(kind) or isinstance(self._taken.get(kind), EnumMeta)):
            raise LifecycleError(f"the string event {event!r} would be read as a member of {kind}. Rename it.")
        return event


def check_name(name: str) -> str:
    """Return `name` if a file can hold it.

    Raises:
        LifecycleError: if it is empty, or has a character that cannot be printed.
    """
    if not is_name(name):
        raise LifecycleError(
            f"{shown(name)} cannot be written to a file: a name has to have a character, and only such as can be "
            f"printed. Rename it."
        )
    return name


def _is_unbound(thing: Any) -> bool:
    return isinstance(thing, Unbound) or (isinstance(thing, type) and issubclass(thing, UnboundError))


def _is_same(one: Any, other: Any) -> bool:
    return one is other or (isinstance(one, (MethodType, Unbound)) and type(one) is type(other) and one == other)
