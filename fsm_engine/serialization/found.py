"""A value that was read from a file, with the place where it was found: every question to it may refuse it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import isfinite
from typing import Any

from fsm_engine._util.errors import LifecycleError


@dataclass(frozen=True)
class Found:
    """A value and where it was found.

    Attributes:
        value: what was read.
        place: where, such as ``phases[3].scope``; empty for the whole.
        places: better names for places, such as ``line 12`` for ``phases[3]``.
    """

    value: Any
    place: str = ""
    places: Mapping[str, str] = field(default_factory=dict)

    def wrong(self, legal: str) -> LifecycleError:
        """Return the error that says what is legal instead of the value."""
        return LifecycleError(f"{self._named()} is {shown(self.value)}, but has to be {legal}.")

    def refused(self, why: str) -> LifecycleError:
        """Return the error that says why the value, legal in itself, cannot be."""
        return LifecycleError(f"{self._named()}: {why}")

    def _named(self) -> str:
        return self.place or "the whole"

    def table(self, needed: Collection[str], optional: Collection[str] = ()) -> dict[str, Found]:
        """Return the values of a mapping that has all keys `needed`, perhaps some `optional`, and no others.

        Raises:
            LifecycleError: for anything else.
        """
        if not isinstance(self.value, Mapping):
            raise self.wrong(f"an object with {', '.join(needed)}")
        legal = (*needed, *optional)
        for key in self.value:
            if key not in legal:
                raise self.refused(f"{shown(key)} means nothing here. Legal are {', '.join(legal)}.")
        for key in needed:
            if key not in self.value:
                raise self.refused(f"{key!r} is missing. It has {', '.join(map(shown, self.value)) or 'nothing'}.")
        return {key: self._inside(value, self._joint() + key) for key, value in self.value.items()}

    def items(self) -> list[Found]:
        """Return the values of a list.

        Raises:
            LifecycleError: if it is none.
        """
        if not isinstance(self.value, (list, tuple)):
            raise self.wrong("a list")
        return [self._inside(value, f"[{number}]") for number, value in enumerate(self.value)]

    def _joint(self) -> str:
        if not self.place:
            return ""
        return ", " if self.place in self.places.values() else "."

    def _inside(self, value: Any, behind: str) -> Found:
        place = self.place + behind
        return Found(value, self.places.get(place, place), self.places)

    def text(self, what: str = "a string of printable characters") -> str:
        """Return a string that may be a name.

        Raises:
            LifecycleError: if it is none, is empty, or has a character that cannot be printed.
        """
        if not is_name(self.value):
            raise self.wrong(what)
        return str(self.value)

    def one_of(self, legal: Collection[str]) -> str:
        """Return a string that is among those that are legal.

        Raises:
            LifecycleError: if it is not.
        """
        if not isinstance(self.value, str) or self.value not in legal:
            raise self.wrong(f"one of {', '.join(legal)}")
        return self.value

    def count(self) -> int:
        """Return a positive integer.

        Raises:
            LifecycleError: if it is none.
        """
        if type(self.value) is not int or self.value < 1:
            raise self.wrong("a positive integer")
        return self.value

    def flag(self) -> bool:
        """Return a boolean.

        Raises:
            LifecycleError: if it is none.
        """
        if not isinstance(self.value, bool):
            raise self.wrong("true or false")
        return self.value

    def unique(self, seen: dict[Any, Found], key: Any) -> None:
        """Note that `key` is here.

        Raises:
            LifecycleError: if it was somewhere else before.
        """
        before = seen.setdefault(key, self)
        if before is not self:
            raise self.refused(f"{shown(self.value)} is there twice: {before._named()} has it, too.")


def is_name(value: Any) -> bool:
    """Say whether `value` may be a name in a file: a string, not empty, all of whose characters can be printed."""
    return isinstance(value, str) and value != "" and value.isprintable()


def nearest(name: str, names: Iterable[str]) -> str:
    """Return those of `names` that look most like `name`, for a message."""
    return ", ".join(get_close_matches(name[:80], list(names), 3, 0))


def is_plain(value: Any, depth: int = 16) -> bool:
    """Say whether `value` reads back from JSON as it is."""
    if type(value) in (str, bool, type(None)):
        return True
    if type(value) is int:
        return bool(abs(value) < 2**63)
    if type(value) is float:
        return isfinite(value)
    inner = _inner(value)
    return inner is not None and depth > 0 and all(is_plain(one, depth - 1) for one in inner)


def _inner(value: Any) -> Iterator[Any] | None:
    if type(value) is list:
        return iter(value)
    if type(value) is dict and all(type(key) is str for key in value):
        return iter(value.values())
    return None


def shown(value: Any) -> str:
    """Return `value` as a message shows it: short, whatever it is."""
    if isinstance(value, int) and abs(value) >= 2**63:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"an object with {', '.join(map(shown, list(value)[:4])) or 'nothing'}"
    if not isinstance(value, (str, int, float, type(None))):
        return f"a {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"
