"""Pauses: the time for which an inspector holds the thread of a run. The clocks of a run do not count it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from time import perf_counter

_seconds: dict[int, float] = {}
"""The seconds of all earlier pauses, by thread."""

_since: dict[int, float] = {}
"""When the present pause began, by thread."""


@contextmanager
def pause() -> Iterator[None]:
    """Count the time inside the ``with`` block as paused time of this thread."""
    thread = get_ident()
    try:
        _since[thread] = perf_counter()
        yield
    finally:
        _end(thread)


def end_stale_pause() -> None:
    """End the pause of this thread: an exception at the beginning of `pause` can leave one behind."""
    _end(get_ident())


def _end(thread: int) -> None:
    since = _since.get(thread)
    if since is not None:
        _seconds[thread] = _seconds.get(thread, 0.0) + perf_counter() - since
        del _since[thread]


def paused_seconds(thread: int) -> float:
    """Return for how many seconds this thread has been paused; its present pause counts."""
    since = _since.get(thread)
    return _seconds.get(thread, 0.0) + (0.0 if since is None else perf_counter() - since)


def all_paused_seconds() -> float:
    """Return the paused seconds of all threads together. The value grows while a thread is paused."""
    return sum(map(paused_seconds, {*_seconds, *_since}))


def running_time() -> float:
    """Return the seconds of a monotonic clock that stands still while this thread is paused."""
    return perf_counter() - paused_seconds(get_ident()) if _seconds or _since else perf_counter()
