"""`LengthAgreement`: lets several processes that run the same lifecycle have epochs of equal length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class LengthAgreement(Protocol):
    """Compares the numbers of iterations of several processes, and ends the passes over their data together."""

    def begin_run(self, data: Any) -> None:
        """Compare the limits and the lengths of a run over `data`, whose limits the state has, with other processes."""
        ...

    def shared_part(self, batches: Iterator[Any], skip: int) -> Iterator[Any]:
        """Return the part of the pass `batches`, opened at batch number `skip`, that all processes use."""
        ...

    def length_of_pass(self, data: Any) -> int | None:
        """Return the number of batches in a pass over `data`, or None if it is unknown."""
        ...
