"""A value read from a file, with its location: each accessor checks the value and names the location in its error."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import isfinite
from reprlib import Repr
from typing import Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine._util.plain_data import items_of


@dataclass(frozen=True)
class Value:
    """A value and its location in a document.

    Attributes:
        content: the value.
        location: such as ``phases[3].scope``; empty for the whole document.
        aliases: locations in the file that the document was made from, such as ``{"phases[3]": "line 12"}``.
    """

    content: Any
    location: str = ""
    aliases: Mapping[str, str] = field(default_factory=dict)

    def mismatch(self, expected: str) -> LifecycleError:
        """Return the error for a value of the wrong kind."""
        return LifecycleError(f"{self._location} is {short_repr(self.content)}, but must be {expected}.")

    def error(self, message: str) -> LifecycleError:
        """Return an error whose message begins with the location."""
        return LifecycleError(f"{self._location}: {message}")

    @property
    def _location(self) -> str:
        return self.location or "the document"

    def fields(self, required: Collection[str], optional: Collection[str] = ()) -> dict[str, Value]:
        """Return the values of a mapping by key.

        Raises:
            LifecycleError: the value is not a mapping, lacks a required key, or has an unknown one.
        """
        if not isinstance(self.content, Mapping):
            raise self.mismatch(f"an object with {', '.join(required)}")
        known = (*required, *optional)
        for key in self.content:
            if key not in known:
                raise self.error(f"unknown key {short_repr(key)}. Known keys are {', '.join(known)}.")
        for key in required:
            if key not in self.content:
                found = ", ".join(map(short_repr, self.content)) or "no keys"
                raise self.error(f"the key {key!r} is missing; found {found}.")
        separator = "" if not self.location else ", " if self.location in self.aliases.values() else "."
        return {key: self._inner(content, separator + key) for key, content in self.content.items()}

    def items(self) -> list[Value]:
        """Return the values of a list.

        Raises:
            LifecycleError: the value is not a list.
        """
        if not isinstance(self.content, (list, tuple)):
            raise self.mismatch("a list")
        return [self._inner(content, f"[{index}]") for index, content in enumerate(self.content)]

    def _inner(self, content: Any, suffix: str) -> Value:
        location = self.location + suffix
        return Value(content, self.aliases.get(location, location), self.aliases)

    def name(self) -> str:
        """Return a string that is a valid name, see `is_name`.

        Raises:
            LifecycleError: the value is not one.
        """
        if not is_name(self.content):
            raise self.mismatch("a string of printable characters")
        return str(self.content)

    def choice(self, options: Collection[str]) -> str:
        """Return a string that is one of `options`.

        Raises:
            LifecycleError: the value is not one of them.
        """
        if not isinstance(self.content, str) or self.content not in options:
            raise self.mismatch(f"one of {', '.join(options)}")
        return self.content

    def positive_integer(self) -> int:
        """Return a positive integer.

        Raises:
            LifecycleError: the value is not one.
        """
        if type(self.content) is not int or self.content < 1:
            raise self.mismatch("a positive integer")
        return self.content

    def boolean(self) -> bool:
        """Return a boolean.

        Raises:
            LifecycleError: the value is not one.
        """
        if not isinstance(self.content, bool):
            raise self.mismatch("true or false")
        return self.content

    def check_unique(self, seen: dict[Any, Value]) -> None:
        """Add the value to `seen`.

        Raises:
            LifecycleError: `seen` has an equal value.
        """
        first = seen.setdefault(self.content, self)
        if first is not self:
            raise self.error(f"{short_repr(self.content)} is a duplicate: {first._location} has the same value.")


def is_name(value: Any) -> bool:
    """Return True if a file may use `value` as a name: a string of at least one character, all of them printable."""
    return isinstance(value, str) and value != "" and value.isprintable()


def closest(name: str, names: Iterable[str]) -> str:
    """Return the three of `names` that resemble `name` most, for an error message."""
    return ", ".join(get_close_matches(name[:80], list(names), 3, 0))


def is_json(value: Any, depth: int = 16) -> bool:
    """Return True if JSON gives `value` back unchanged, with the same types, nested at most `depth` deep."""
    if type(value) is int:
        return bool(abs(value) < 2**63)
    if type(value) is float:
        return isfinite(value)
    if type(value) is list or (type(value) is dict and all(type(key) is str for key in value)):
        return depth > 0 and all(is_json(item, depth - 1) for _, item in items_of(value) or ())
    return type(value) in (str, bool, type(None))


_REPR = Repr()
_REPR.maxlevel, _REPR.maxdict, _REPR.maxlist, _REPR.maxstring, _REPR.maxother = 2, 4, 4, 80, 80


def short_repr(value: Any) -> str:
    """Return a short `repr` of any value, for an error message."""
    try:
        return _REPR.repr(value)
    except ValueError:  # Python limits the number of digits of an integer
        return "an integer with too many digits"
