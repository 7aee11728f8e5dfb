"""What a file names and nobody has bound: it is shown and compared by its name, and refused when it should run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from fsm_engine._util.errors import LifecycleError


@dataclass(frozen=True)
class Unbound:
    """Stands for a function, or another object of the user's, that a file has the name of.

    Attributes:
        key: the name that binds it.
        __name__: the name it is shown by, as any function has one.
    """

    key: str
    __name__: str

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        """Refuse.

        Raises:
            LifecycleError: always, with what to bind.
        """
        raise LifecycleError(f"{self.key} is not bound. {how_to_bind([self.key])}")


class UnboundError(Exception):
    """The base of what stands for a class of exceptions that a file has the name of: nothing raises it."""

    key: ClassVar[str]


@cache
def unbound_error(key: str) -> type[UnboundError]:
    """Return what stands for the class of exceptions of that name."""
    return type(key, (UnboundError,), {"key": key})


def how_to_bind(keys: list[str]) -> str:
    """Return the advice that binds `keys`."""
    return f"Load the file with bind={{{', '.join(f'{key!r}: ...' for key in keys)}}}."
