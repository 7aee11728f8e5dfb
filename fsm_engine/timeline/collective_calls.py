"""Calls of collectives, which a recording of one of several ranks keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import perf_counter_ns

from fsm_engine.timeline.track import NamedSpans

_recordings: list[NamedSpans] = []
_NOT_RECORDED = nullcontext()


def start_recording(calls: NamedSpans) -> None:
    """Record calls into `calls` from now on."""
    _recordings.append(calls)


def stop_recording(calls: NamedSpans | None) -> None:
    """Record no more calls into `calls`."""
    _recordings[:] = [other for other in _recordings if other is not calls]


def collective_call(name: str, is_wait: bool = False) -> AbstractContextManager[None]:
    """Return a context that records its block as the call of a collective. Costs a look-up without a recording.

    Args:
        name: the purpose, equal on all ranks. A part after " at " is left out, because the timeline has the place.
        is_wait: whether the whole block is a wait for other ranks. Otherwise the rank waits until the last rank calls.
    """
    return _recorded(name, is_wait) if _recordings else _NOT_RECORDED


@contextmanager
def _recorded(name: str, is_wait: bool) -> Iterator[None]:
    calls, start = _recordings[-1], perf_counter_ns()
    try:
        yield
    finally:
        calls.add(start, perf_counter_ns(), name.partition(" at ")[0], is_wait)
