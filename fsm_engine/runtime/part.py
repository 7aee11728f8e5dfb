"""`Part`, the base class of the groups of attributes that make up a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class Part:
    """A group of attributes that a run needs besides the `State` that users see.

    A part has slots, because calling `vars()` on an object with a dict makes every later attribute access slower.

    Attributes:
        PROCESS: names of the attributes that belong to this process. Copies and pickles reset them.
        SAVED: names of the attributes that `saved` returns for an exact position.
    """

    __slots__: tuple[str, ...] = ()
    PROCESS: ClassVar[frozenset[str]] = frozenset()
    SAVED: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.restart()
        self.reset_process()

    def restart(self) -> None:
        """Set the attributes to their values before the first phase of a run."""

    def reset_process(self) -> None:
        """Set the attributes that belong to this process to their initial values."""

    def saved(self) -> dict[str, Any]:
        """Return the attributes in `SAVED` by name."""
        return {name: getattr(self, name) for name in self.SAVED}

    def load(self, saved: Mapping[str, Any]) -> None:
        """Set the attributes in `SAVED` from the result of `saved`."""
        for name in self.SAVED:
            setattr(self, name, saved[name])

    def __getstate__(self) -> dict[str, Any]:
        names = (name for name in self.__slots__ if name not in self.PROCESS)
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self.reset_process()
