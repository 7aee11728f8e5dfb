"""Numbers beside a run, such as its loss: when each was told, and what it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from numbers import Real
from struct import Struct
from time import perf_counter_ns
from typing import Any

from fsm_engine.timeline.ring import Ring

VALUE = Struct("<qd")
"""A value: when, in nanoseconds of the monotonic clock; the number."""

_lock = threading.Lock()


class Counter:
    """The values of one name.

    Attributes:
        ring: where they are kept.
    """

    def __init__(self, capacity: int) -> None:
        self.ring = Ring(VALUE, capacity)

    def add(self, name: str, value: Any) -> None:
        """Add a value at the present time; any thread may.

        Raises:
            TypeError: something that is no number; a tensor is none, because to read it may have to wait for a device.
        """
        if not isinstance(value, Real):
            fix = f"Give {name}.item(), which waits for its device" if hasattr(value, "item") else "Give a number"
            raise TypeError(f"count({name!r}, ...) keeps numbers, and {type(value).__name__} is none. {fix}.")
        with _lock:
            self.ring.add(perf_counter_ns(), float(value))

    def __iter__(self) -> Iterator[tuple[int, float]]:
        """Yield the times and values that are kept, in their order."""
        return iter(self.ring)

    @property
    def dropped(self) -> int:
        """How many values were forgotten, because there was no more room."""
        return self.ring.dropped
