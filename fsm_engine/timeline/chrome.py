"""A timeline in Chrome's trace event format, which Perfetto reads, too.

Source: "Trace Event Format" (Google, 2016). A process is a rank, a thread is a lane. Times are microseconds with three
decimals, so that no nanosecond is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from math import inf, isfinite
from typing import Any

from fsm_engine.timeline.processes import processes_of
from fsm_engine.timeline.slices import Flow, Flows, Lane, Slice, SliceType, slices
from fsm_engine.timeline.timeline import Timeline


def to_chrome(timeline: Timeline, rank: int | None = None) -> dict[str, Any]:
    """Return `timeline` as an object for `json.dump`; see `trace_lines`."""
    return json.loads("".join(trace_lines(timeline, rank)))  # type: ignore[no-any-return]


def trace_lines(timeline: Timeline, rank: int | None = None) -> Iterator[str]:
    """Yield the text of a trace, one event per line.

    ``baseTimeNanoseconds`` makes the times absolute, as in traces of `torch.profiler`.

    Raises:
        ValueError: `rank` is given for a timeline of several ranks.
    """
    processes = processes_of(timeline, rank)
    yield f'{{"displayTimeUnit":"ns","baseTimeNanoseconds":{timeline.wall},"traceEvents":['
    separator = "\n"
    for process in processes:
        events = TraceEvents(process.timeline, process.number)
        for event in chain([events.process(process.name, process.number)], events):
            yield f"{separator}{event}"
            separator = ",\n"
    yield "\n]}\n"


class TraceEvents:
    """The events of a timeline as JSON texts.

    Args:
        timeline: the timeline.
        pid: the number of the process that the viewer shows.
        shift: nanoseconds to add to all times.
        window: the start and the end of the time to include; events that do not overlap it are left out.
    """

    def __init__(self, timeline: Timeline, pid: int, shift: int = 0, window: tuple[float, float] = (-inf, inf)) -> None:
        self.timeline, self.pid, self.shift, self.window = timeline, pid, shift, window
        self._heads: dict[tuple[int, SliceType], str] = {}
        self._lanes: set[int] = set()

    def process(self, name: str, position: int) -> str:
        """Return the two events that set the name of the process and its position in the viewer."""
        return self._metadata("process", 0, name, position)

    def __iter__(self) -> Iterator[str]:
        """Yield the events. The name of a lane comes before its slices."""
        first, last = self.window
        flows = Flows(self.timeline)
        for slice_ in slices(self.timeline):
            if flows.is_needed:
                flows.add(slice_)
            if slice_.end < first or slice_.start > last:
                continue
            if slice_.lane.number not in self._lanes:
                yield self._thread(slice_.lane)
            yield self._slice(slice_)
        for number, flow in enumerate(flows.found(), self.pid << 32 | 1):
            if first <= flow.target.start <= last:
                yield self._flow(number, flow)
        for name, counter in self.timeline.counters.items():
            for time, value in counter:
                if first <= time <= last:
                    yield self._value(name, time, value)

    def _metadata(self, what: str, tid: int, name: str, position: int) -> str:
        event = {"ph": "M", "pid": self.pid, "tid": tid}
        named = {**event, "name": f"{what}_name", "args": {"name": name}}
        sorted_ = {**event, "name": f"{what}_sort_index", "args": {"sort_index": position}}
        return f"{json.dumps(named)},\n{json.dumps(sorted_)}"

    def _thread(self, lane: Lane) -> str:
        self._lanes.add(lane.number)
        name = f"{self.timeline.tracks[lane.track].name} {lane.track}: {lane.name}"
        return self._metadata("thread", lane.number, name, lane.number)

    def _slice(self, slice_: Slice) -> str:
        lane, type_, start, end, counters, device = slice_
        head = self._heads.get((lane.number, type_))
        if head is None:
            head = self._heads[lane.number, type_] = self._head(lane, type_)
        times = f'"ts":{(start + self.shift) / 1000:.3f},"dur":{(end - start) / 1000:.3f}'
        if counters is None:
            return f"{head}{times}}}"
        device_time = "" if device is None else f',"device us":{device / 1000:.3f}'
        return f'{head}{times},"args":{{"epoch":{counters[0]},"iteration":{counters[1]}{device_time}}}}}'

    def _head(self, lane: Lane, type_: SliceType) -> str:
        head = {"ph": "X", "name": type_.name, "cat": type_.category, "pid": self.pid, "tid": lane.number}
        return json.dumps({**head, "args": dict(type_.args)} if type_.args else head)[:-1] + ","

    def _flow(self, number: int, flow: Flow) -> str:
        """Return an arrow that begins and ends inside its slices: some viewers find no slice at an edge."""
        source, target = flow
        begins = {"ph": "s", "name": "run", "cat": "run", "id": number, **self._at(source, target.start)}
        ends = {**begins, "ph": "f", "bp": "e", **self._at(target, min(target.start + 1, target.end))}
        return f"{json.dumps(begins)},\n{json.dumps(ends)}"

    def _at(self, slice_: Slice, time: int) -> dict[str, Any]:
        return {"pid": self.pid, "tid": slice_.lane.number, "ts": (time + self.shift) / 1000}

    def _value(self, name: str, time: int, value: float) -> str:
        """Return the event for a value of a counter: an instant event with a name for a value that JSON lacks."""
        event = {"ph": "C", "name": name, "cat": "counter", "pid": self.pid, "ts": (time + self.shift) / 1000}
        if isfinite(value):
            return json.dumps({**event, "args": {"value": value}})
        return json.dumps({**event, "ph": "i", "s": "p", "name": f"{name} is {value}", "tid": 0})
