"""Scalars that the user offers for change during a run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fsm_engine.inspector.errors import CommandError
from fsm_engine.inspector.look import finite_or_none


@dataclass
class Offer:
    """A scalar with its functions. They are called in the thread of a run, or of `Inspector.offer`.

    Attributes:
        name: its name.
        get: returns its value.
        set: changes its value.
        low: the least value; None for no limit.
        high: the greatest value.
        value: the value that `get` returned last; None if it raised.
        error: the exception that `get` raised last, as text.
    """

    name: str
    get: Callable[[], float]
    set: Callable[[float], Any]
    low: float | None = None
    high: float | None = None
    value: float | None = None
    error: str | None = None

    def refresh(self) -> bool:
        """Read the value. Return True if it has changed."""
        before = self.value, self.error
        try:
            self.value, self.error = float(self.get()), None
        except Exception as error:
            self.value, self.error = None, f"{type(error).__name__}: {error}"[:300]
        return before != (self.value, self.error)

    def change(self, value: Any) -> None:
        """Set the value.

        Raises:
            CommandError: `value` is not a number between the limits, or `set` raised an exception.
        """
        if type(value) not in (int, float) or not math.isfinite(value):
            raise CommandError(f"{self.name} has to be a finite number.")
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            raise CommandError(f"{self.name} has to lie between {self.low} and {self.high}, got {value}.")
        try:
            self.set(value)
        except Exception as error:
            raise CommandError(f"setting {self.name} raised {type(error).__name__}: {error}"[:300]) from error
        self.refresh()

    def describe(self) -> dict[str, Any]:
        """Return the offer as a message has it."""
        value = finite_or_none(self.value)
        return {"name": self.name, "value": value, "low": self.low, "high": self.high, "error": self.error}
