"""A timeline in the format of Chrome's tracing, which Perfetto reads.

Source: "Trace Event Format" (Google, 2016). Times are microseconds, written with three decimals so that no nanosecond
is lost; a process is a rank, a thread is a lane.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from fsm_engine.timeline.lanes import Flow, Flows, Lane, Slice, What, slices

if TYPE_CHECKING:
    from fsm_engine.timeline.timeline import Timeline

ALWAYS = -inf, inf


def to_chrome(timeline: Timeline, rank: int = 0) -> dict[str, Any]:
    """Return `timeline` as an object for `json.dump`; see `written`."""
    return json.loads("".join(written(timeline, rank)))  # type: ignore[no-any-return]


def written(timeline: Timeline, rank: int = 0) -> Iterator[str]:
    """Yield the text of a trace, an event per line.

    ``baseTimeNanoseconds`` puts the times on the wall clock, as in traces of `torch.profiler`.
    """
    yield f'{{"displayTimeUnit":"ns","baseTimeNanoseconds":{timeline.wall},"traceEvents":[\n'
    events = Events(timeline, rank)
    yield events.process(f"rank {rank}", rank)
    for event in events:
        yield f",\n{event}"
    yield "\n]}\n"


class Events:
    """The events of a timeline as JSON texts.

    Args:
        timeline: what they are of.
        pid: the number of the process in which they are shown.
        shift: added to their times, in nanoseconds.
        window: what does not overlap these times is left out.
    """

    def __init__(self, timeline: Timeline, pid: int, shift: int = 0, window: tuple[float, float] = ALWAYS) -> None:
        self.timeline, self.pid, self.shift, self.window = timeline, pid, shift, window
        self._heads: dict[tuple[int, What], str] = {}
        self._lanes: set[int] = set()

    def process(self, name: str, place: int) -> str:
        """Return the two events that name the process, and say where it is shown."""
        named = {"ph": "M", "pid": self.pid, "tid": 0, "name": "process_name", "args": {"name": name}}
        sorted_ = {**named, "name": "process_sort_index", "args": {"sort_index": place}}
        return f"{json.dumps(named)},\n{json.dumps(sorted_)}"

    def __iter__(self) -> Iterator[str]:
        """Yield the events, each lane's name before what is in it."""
        first, last = self.window
        arrows = Flows(self.timeline)
        for slice_ in slices(self.timeline):
            if arrows.is_needed:
                arrows.see(slice_)
            if slice_.end < first or slice_.start > last:
                continue
            if slice_.lane.number not in self._lanes:
                yield self._thread(slice_.lane)
            yield self._slice(slice_)
        for number, flow in enumerate(arrows.found(), 1):
            if first <= flow.target.start <= last:
                yield self._flow(number, flow)
        for name, counter in self.timeline.counters.items():
            for time, value in counter:
                if first <= time <= last:
                    yield self._value(name, time, value)

    def _slice(self, slice_: Slice) -> str:
        lane, what, start, end, counters, device = slice_
        head = self._heads.get((lane.number, what))
        if head is None:
            head = self._heads[lane.number, what] = self._head(lane, what)
        times = f'"ts":{(start + self.shift) / 1000:.3f},"dur":{(end - start) / 1000:.3f}'
        if counters is None:
            return f"{head}{times}}}"
        took = "" if device is None else f',"device us":{device / 1000:.3f}'
        return f'{head}{times},"args":{{"epoch":{counters[0]},"iteration":{counters[1]}{took}}}}}'

    def _head(self, lane: Lane, what: What) -> str:
        head = {"ph": "X", "name": what.name, "cat": what.category, "pid": self.pid, "tid": lane.number}
        return json.dumps({**head, "args": dict(what.args)} if what.args else head)[:-1] + ","

    def _thread(self, lane: Lane) -> str:
        self._lanes.add(lane.number)
        name = f"{self.timeline.tracks[lane.track].name} {lane.track}: {lane.name}"
        named = {"ph": "M", "pid": self.pid, "tid": lane.number, "name": "thread_name", "args": {"name": name}}
        sorted_ = {**named, "name": "thread_sort_index", "args": {"sort_index": lane.number}}
        return f"{json.dumps(named)},\n{json.dumps(sorted_)}"

    def _flow(self, number: int, flow: Flow) -> str:
        """Return an arrow from inside one slice to inside another: at their edges it would be in neither for some."""
        source, target = flow
        begins = {"ph": "s", "name": "run", "cat": "run", "id": number, **self._at(source, target.start)}
        ends = {**begins, "ph": "f", "bp": "e", **self._at(target, min(target.start + 1, target.end))}
        return f"{json.dumps(begins)},\n{json.dumps(ends)}"

    def _at(self, slice_: Slice, time: int) -> dict[str, Any]:
        return {"pid": self.pid, "tid": slice_.lane.number, "ts": (time + self.shift) / 1000}

    def _value(self, name: str, time: int, value: float) -> str:
        """Return the event of a counter's value; one that JSON has no number for becomes a mark that names it."""
        event = {"ph": "C", "name": name, "cat": "counter", "pid": self.pid, "ts": (time + self.shift) / 1000}
        if isfinite(value):
            return json.dumps({**event, "args": {"value": value}})
        return json.dumps({**event, "ph": "i", "s": "p", "name": f"{name} is {value}", "tid": 0})
