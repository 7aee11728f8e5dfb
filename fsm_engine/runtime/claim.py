"""`Claim`: which run holds an engine, decided by one operation that neither threads nor exceptions can split."""

from __future__ import annotations

from collections.abc import Callable


def nobody() -> None:
    """Return None, as a weak reference to an object that no longer exists does."""


class Claim:
    """A claim to run an engine. Once its run has ended, one other claim can succeed it.

    Attributes:
        holder: returns None once the run has ended. It is a weak reference to an object that exists only on the stack
            of `Engine.run`, so an exception at any instruction ends the claim with the run.
    """

    __slots__ = ("_successors", "holder")

    def __init__(self, holder: Callable[[], object] = nobody) -> None:
        self.holder = holder
        self._successors: dict[str, Claim] = {}

    def succeed(self, last: Claim) -> bool:
        """Become the successor of `last` or of its latest successor; return False if that claim is held.

        Of several threads, one succeeds a claim, because `dict.setdefault` is atomic. A successor whose run was cut
        short before it began is succeeded in turn.
        """
        while last.holder() is None:
            last = last._successors.setdefault("next", self)
            if last is self:
                return True
        return False
