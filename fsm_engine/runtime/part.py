"""`Part`: the base class of the parts that the position of a run consists of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class Part:
    """A group of attributes that belong together: what a run needs besides the `State` that users see.

    A part has slots, because `vars()` of a plain object turns off Python's fast access to its attributes.

    Attributes:
        PROCESS: the attributes that belong to this process. Copies and pickles reset them.
        SAVED: the attributes that an exact position holds as they are.
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
        """Set the attributes that belong to this process."""

    def saved(self) -> dict[str, Any]:
        """Return the attributes that an exact position holds."""
        return {name: getattr(self, name) for name in self.SAVED}

    def load(self, saved: Mapping[str, Any]) -> None:
        """Set the attributes that `saved` returned."""
        for name in self.SAVED:
            setattr(self, name, saved[name])

    def __getstate__(self) -> dict[str, Any]:
        names = (name for name in self.__slots__ if name not in self.PROCESS)
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self.reset_process()
