"""A timeline in the format of Chrome's tracing, which Perfetto reads.

Source: "Trace Event Format" (Google, 2016): times are microseconds, and what is on one thread has to nest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fsm_engine.timeline.track import Track
from fsm_engine.timeline.visits import visits

if TYPE_CHECKING:
    from fsm_engine.timeline.timeline import Timeline

_LANES = ("scopes", "phases", "handlers")


def to_chrome(timeline: Timeline, rank: int = 0) -> dict[str, Any]:
    """Return `timeline` as an object for `json.dump`: a process per rank, three threads per track.

    One has the scopes, one the phases, one the calls of handlers. Times are fractions of microseconds, so that no
    nanosecond is lost; ``baseTimeNanoseconds`` puts them on the wall clock, as in traces of `torch.profiler`.
    """
    events: list[dict[str, Any]] = [_name("process_name", rank, 0, f"rank {rank}")]
    for number, track in enumerate(timeline.tracks):
        first = 1 + number * len(_LANES)
        for lane, name in enumerate(_LANES):
            events.append(_name("thread_name", rank, first + lane, f"{track.name} {number}: {name}"))
            events.append({**_name("thread_sort_index", rank, first + lane, ""), "args": {"sort_index": first + lane}})
        events += _scopes(track, rank, first)
        for visit in visits(track):
            counters = {"epoch": visit.left.epoch, "iteration": visit.left.iteration}
            name, end = visit.phase.rpartition(".")[2], visit.left.time
            events.append(_slice(name, "phase", rank, first + 1, visit.entered.time, end, counters))
        for span in track.spans:
            args = {"event": span.called.event, "place": span.called.place, "raised": span.raised}
            events.append(_slice(span.called.handler, "handler", rank, first + 2, span.start, span.end, args))
    return {"displayTimeUnit": "ns", "baseTimeNanoseconds": timeline.wall, "traceEvents": events}


def _scopes(track: Track, rank: int, thread: int) -> Iterator[dict[str, Any]]:
    """Yield a slice per scope, from the move that enters it to the one that leaves it: they nest by construction."""
    open_: list[tuple[str, int]] = []
    last = 0
    for move in track.moves:
        last = move.time
        stays, wanted = 0, move.kind.target_scopes
        while stays < min(len(open_), len(wanted)) and open_[stays][0] == wanted[stays]:
            stays += 1
        while len(open_) > stays:
            name, start = open_.pop()
            counters = {"epoch": move.epoch, "iteration": move.iteration}
            yield _slice(name, "scope", rank, thread, start, move.time, counters)
        open_ += ((name, move.time) for name in wanted[stays:])
    while open_:
        name, start = open_.pop()
        yield _slice(name, "scope", rank, thread, start, last, {})


def _slice(name: str, category: str, pid: int, tid: int, start: int, end: int, args: dict[str, Any]) -> dict[str, Any]:
    times = {"ts": start / 1000, "dur": (end - start) / 1000}
    return {"ph": "X", "name": name, "cat": category, "pid": pid, "tid": tid, **times, "args": args}


def _name(what: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": name}}
