"""A timeline put into a trace of `torch.profiler`, which has the times of operators and of devices."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsm_engine._util.atomic_files import open_atomically
from fsm_engine.timeline.chrome import Events
from fsm_engine.timeline.export import format_of

if TYPE_CHECKING:
    from fsm_engine.timeline.timeline import Timeline


def merged(timeline: Timeline, trace: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """Write `trace` with `timeline` in it to `out`; see `Timeline.merge_torch_trace`."""
    content = _read(Path(trace))
    ours = _overlapping(timeline, content, Path(trace).name)
    content["traceEvents"] += ours
    text = json.dumps(content).encode()
    with open_atomically(out) as file:
        file.write(gzip.compress(text, 3) if format_of(Path(out)) == "json.gz" else text)
    return Path(out)


def _read(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    try:
        trace = json.loads(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
    except (ValueError, EOFError, zlib.error) as error:
        raise ValueError(f"{path.name} is no trace: {error}.") from error
    if not isinstance(trace, dict) or not isinstance(trace.get("traceEvents"), list):
        raise ValueError(f"{path.name} is no trace of torch.profiler: it has no list of traceEvents.")
    if not isinstance(trace.get("baseTimeNanoseconds"), int):
        raise ValueError(
            f"{path.name} does not say when it was taken: it has no baseTimeNanoseconds, which torch.profiler writes."
        )
    return trace


def _overlapping(timeline: Timeline, trace: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the events of `timeline` that overlap the window of `trace`, as events of a process of their own."""
    events, shift = trace["traceEvents"], timeline.wall - trace["baseTimeNanoseconds"]
    times = list(_times(events))
    if not times:
        raise ValueError(f"{name} has no events with a time. Export it after the profiler has stopped.")
    window = min(times) - shift, max(times) - shift
    pids = [event["pid"] for event in events if isinstance(event, dict) and isinstance(event.get("pid"), int)]
    ours = Events(timeline, max(pids, default=0) + 1, shift, window)
    found = [json.loads(f"[{event}]") for event in ours]
    if not found:
        raise ValueError(
            f"{name} was taken when this timeline was not: nothing of it happened meanwhile. "
            "Record the run that is profiled."
        )
    return [event for texts in (json.loads(f"[{ours.process('fsm_engine', -1)}]"), *found) for event in texts]


def _times(events: list[Any]) -> Iterator[float]:
    """Yield when the events of a trace began and ended, in nanoseconds."""
    for event in events:
        if isinstance(event, dict) and event.get("ph") == "X":
            start = float(event["ts"]) * 1000
            yield from (start, start + float(event.get("dur", 0)) * 1000)
