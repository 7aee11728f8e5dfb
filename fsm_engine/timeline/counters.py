"""Counters: values such as the loss, recorded beside the run with their times."""

from __future__ import annotations

import threading
from numbers import Real
from struct import Struct
from time import perf_counter_ns
from typing import Any

from fsm_engine.timeline.ring import Ring

VALUE = Struct("<qd")
"""The record of a value: time in nanoseconds of the monotonic clock, number."""

_lock = threading.Lock()


class Counter(Ring):
    """The values of one counter. Iterating over it yields each time with its value, oldest first.

    Attributes:
        rank: the number of the process that counted, in a timeline of several processes; else None.
    """

    __slots__ = ("rank",)

    def __init__(self, capacity: int) -> None:
        super().__init__(VALUE, capacity)
        self.rank: int | None = None

    def add_value(self, name: str, value: Any) -> None:
        """Add a value at the present time. Any thread may call this.

        Args:
            name: the name of the counter, for the message.
            value: a real number. A tensor is refused, because reading it may have to wait for a device.

        Raises:
            TypeError: `value` is not a real number.
        """
        if not isinstance(value, Real):
            fix = f"Pass {name}.item(), which waits for its device" if hasattr(value, "item") else "Pass a number"
            raise TypeError(f"count({name!r}, ...) takes a real number, but got {type(value).__name__}. {fix}.")
        with _lock:
            self.add(perf_counter_ns(), float(value))
