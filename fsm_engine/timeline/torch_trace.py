"""Insertion of a timeline into a trace of `torch.profiler`, which has the times of operators and devices."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fsm_engine._util.atomic_files import open_atomically
from fsm_engine.timeline.chrome import TraceEvents
from fsm_engine.timeline.export import get_format
from fsm_engine.timeline.timeline import Timeline


def merge_torch_trace(timeline: Timeline, trace: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """Write `trace` with the events of `timeline` to `out`; see `Timeline.merge_torch_trace`."""
    content = _read_trace(Path(trace))
    content["traceEvents"] += _overlapping_events(timeline, content, Path(trace).name)
    text = json.dumps(content).encode()
    with open_atomically(out) as file:
        file.write(gzip.compress(text, 3) if get_format(Path(out)) == "json.gz" else text)
    return Path(out)


def _read_trace(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    try:
        trace = json.loads(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
    except (ValueError, EOFError, zlib.error) as error:
        raise ValueError(f"{path.name} is not a trace: {error}.") from error
    if not isinstance(trace, dict) or not isinstance(trace.get("traceEvents"), list):
        raise ValueError(f"{path.name} is not a trace of torch.profiler: it has no list of traceEvents.")
    if not isinstance(trace.get("baseTimeNanoseconds"), int):
        raise ValueError(
            f"{path.name} has no baseTimeNanoseconds, so its events have no absolute time. torch.profiler writes it."
        )
    return trace


def _overlapping_events(timeline: Timeline, trace: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the events of `timeline` that overlap the time of `trace`, as a process of their own."""
    events, shift = trace["traceEvents"], timeline.wall - trace["baseTimeNanoseconds"]
    times = list(_event_times(events))
    if not times:
        raise ValueError(f"{name} has no events with a time. Export the trace after the profiler has stopped.")
    window = min(times) - shift, max(times) - shift
    pids = [event["pid"] for event in events if isinstance(event, dict) and isinstance(event.get("pid"), int)]
    ours = TraceEvents(timeline, max(pids, default=0) + 1, shift, window)
    found = [json.loads(f"[{event}]") for event in ours]
    if not found:
        raise ValueError(
            f"{name} was recorded at another time than this timeline: no event overlaps. "
            "Record the run that is profiled: with trainer.record() as timeline, profile(...) as profiler: ..."
        )
    return [event for group in (json.loads(f"[{ours.process('fsm_engine', -1)}]"), *found) for event in group]


def _event_times(events: list[Any]) -> Iterator[float]:
    """Yield the start and the end of each event of a trace, in nanoseconds."""
    for event in events:
        if isinstance(event, dict) and event.get("ph") == "X":
            start = float(event["ts"]) * 1000
            yield from (start, start + float(event.get("dur", 0)) * 1000)
