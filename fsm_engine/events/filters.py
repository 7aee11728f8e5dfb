"""Filters of events, which select the firings for which a handler is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from fsm_engine._util.signatures import call_error, check_runs_when_called, parameter_names

EventFilter = Callable[[Any, int], Any]


@dataclass(frozen=True)
class Filter:
    """A condition on the value of an event's counter; ``filter(engine, value)`` returns True if all parts hold.

    `after` and `before` are exclusive bounds. With one of them, `every` matches the first value after `after` and each
    `every`-th one from there; without them, it matches the multiples of `every`. The rules follow pytorch-ignite, which
    does not combine `event_filter` with other parts, though.
    """

    every: int | None = None
    once: tuple[int, ...] | None = None
    before: int | None = None
    after: int | None = None
    event_filter: EventFilter | None = None

    @property
    def bounded(self) -> bool:
        """True if `before` or `after` is given."""
        return self.before is not None or self.after is not None

    def __call__(self, engine: Any, value: int) -> bool:
        """Return True if a handler with this filter is called at counter `value`."""
        if self.once is not None and value not in self.once:
            return False
        if self.bounded and not self._between(value):
            return False
        if self.every is not None and not self.bounded and value % self.every:
            return False
        return self.event_filter is None or bool(self.event_filter(engine, value))

    def may_pass(self, least: int, most: float) -> bool:
        """Return False if no value from `least` to `most` can match; `event_filter` is not called."""
        if self.once is not None:
            return any(least <= value <= most for value in self.once)
        if self.bounded:
            first = (self.after or 0) + 1
            return first <= most and (self.before is None or first < self.before)
        return self.every is None or least == 0 or self.every <= most

    def _between(self, value: int) -> bool:
        after = self.after or 0
        if value <= after or (self.before is not None and value >= self.before):
            return False
        return self.every is None or (value - after - 1) % self.every == 0

    def __str__(self) -> str:
        once = None if self.once is None else self.once[0] if len(self.once) == 1 else list(self.once)
        parts = {"every": self.every, "once": once, "before": self.before, "after": self.after}
        texts = [f"{name}={value}" for name, value in parts.items() if value is not None]
        if self.event_filter is not None:
            texts.append(f"event_filter={getattr(self.event_filter, '__qualname__', self.event_filter)}")
        return ", ".join(texts)


def make_filter(
    event_filter: Any = None, every: Any = None, once: Any = None, before: Any = None, after: Any = None
) -> Filter | None:
    """Return a filter from the arguments of ``event(...)``; None if it would match every value.

    Raises:
        ValueError: `once` is combined with `every`, `before` or `after`, a number is out of range, or `event_filter`
            does not accept two arguments.
        TypeError: `event_filter` is not callable.
    """
    if once is not None and not every is before is after is None:
        raise ValueError(
            "Only one of the input arguments should be specified, except before, after and every: "
            "once lists the matching values, so it cannot be combined with every, before or after. "
            "Put all values into once, or omit once."
        )
    built = Filter(
        every=_checked_number("every", every, 1),
        once=_checked_once(once),
        before=_checked_number("before", before, 0),
        after=_checked_number("after", after, 0),
        event_filter=_checked_event_filter(event_filter),
    )
    if built.every == 1 and not built.bounded:
        built = Filter(once=built.once, event_filter=built.event_filter)
    return None if built == Filter() else built


def _checked_number(name: str, number: Any, least: int) -> int | None:
    if number is None:
        return None
    if not isinstance(number, Integral) or isinstance(number, bool) or number < least:
        rule = "greater than zero" if least else "greater or equal to zero"
        raise ValueError(f"Argument {name} should be integer and {rule}, got {number!r}")
    return int(number)


def _checked_once(once: Any) -> tuple[int, ...] | None:
    if once is None:
        return None
    numbers = [once] if isinstance(once, int) else once
    if (
        not isinstance(numbers, (list, tuple))
        or not numbers
        or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in numbers)
    ):
        raise ValueError(
            f"Argument once should either be a positive integer or a list of positive integers, got {once!r}"
        )
    return tuple(numbers)


def _checked_event_filter(event_filter: Any) -> EventFilter | None:
    if event_filter is None:
        return None
    if not callable(event_filter):
        is_number = isinstance(event_filter, int)
        hint = f". For a number, write every={event_filter} or once={event_filter}." if is_number else ""
        raise TypeError(
            f"Argument event_filter should be a callable taking (engine, event), got {event_filter!r}{hint}"
        )
    check_runs_when_called(event_filter, "event_filter")
    error = call_error(event_filter, None, None)
    if error is not None:
        raise ValueError(
            f"Error adding event_filter {event_filter!r}: takes parameters "
            f"{parameter_names(event_filter)} but will be called with "
            f"two: the engine and the event's counter ({error})"
        )
    return event_filter  # type: ignore[no-any-return]
