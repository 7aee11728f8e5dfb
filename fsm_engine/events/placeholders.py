"""Placeholders for functions and classes that the file of a lifecycle names and no argument binds.

A lifecycle with placeholders can be shown and compared. Before a run, validation rejects it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from fsm_engine._util.errors import LifecycleError


@dataclass(frozen=True)
class Unbound:
    """Placeholder for a function or another object of the user that a file names.

    Attributes:
        key: the key in the argument `bind` that binds the object.
        __name__: the name shown in tables and pictures.
    """

    key: str
    __name__: str

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        """Raise an error.

        Raises:
            LifecycleError: always; the message says how to bind the object.
        """
        raise LifecycleError(f"{self.key} is not bound. {how_to_bind([self.key])}")


class UnboundError(Exception):
    """Base class of placeholders for exception classes that a file names. It is never raised."""

    key: ClassVar[str]


@cache
def unbound_error(key: str) -> type[UnboundError]:
    """Return the placeholder for the exception class named `key`."""
    return type(key, (UnboundError,), {"key": key})


def how_to_bind(keys: list[str]) -> str:
    """Return a sentence that says how to bind `keys`."""
    return f"Load the file with bind={{{', '.join(f'{key!r}: ...' for key in keys)}}}."
