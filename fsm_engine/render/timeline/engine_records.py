"""The recorded engines of a picture: the runs of each track, and the handler call or phase that started each run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from fsm_engine.render.labels import one_line
from fsm_engine.render.timeline.segments import Segment, find_runs
from fsm_engine.timeline.estimate import Estimate
from fsm_engine.timeline.rank import rank_labels
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import HandlerRef, Track
from fsm_engine.timeline.visits import Visit, Visits


class Host(NamedTuple):
    """The handler call or the visit of another engine inside which a run happened.

    Attributes:
        track: the index of the other engine's track.
        start: when the call or visit began, in nanoseconds.
        end: when it ended.
        cause: the handler, or the visit.
    """

    track: int
    start: int
    end: int
    cause: HandlerRef | Visit


@dataclass(frozen=True)
class EngineRecord:
    """The record of one engine.

    Attributes:
        number: the index of its track.
        name: the name of its lifecycle.
        visits: the visits of its phases.
        runs: its runs.
        estimate: scales times to iterations that were not recorded.
        hosts: the host of each run; empty unless every run has one.
        rank: the name of the rank that recorded it, in a timeline of several ranks; else empty.
    """

    number: int
    name: str
    visits: Visits
    runs: tuple[Segment, ...]
    estimate: Estimate
    hosts: tuple[Host, ...] = ()
    rank: str = ""

    @property
    def parent(self) -> int | None:
        """The index of the track inside which the engine ran."""
        return self.hosts[0].track if self.hosts else None

    @property
    def duration(self) -> int:
        """The time of all runs, in nanoseconds."""
        return sum(run.end - run.start for run in self.runs)

    @property
    def heading(self) -> str:
        """The rank, the name of the engine, and the name of the handler or phase that ran it."""
        name = f"{self.rank}: {self.name}" if self.rank else self.name
        if not self.hosts:
            return one_line(name)
        cause = self.hosts[0].cause
        by = cause.name if isinstance(cause, HandlerRef) else cause.phase
        return one_line(f"{name}, run by {by.rpartition('.')[2]}")


def engine_records(timeline: Timeline) -> list[EngineRecord]:
    """Return the records of the engines that ran, each followed by the engines that ran inside it.

    Raises:
        ValueError: no run was recorded.
    """
    labels = rank_labels(track.rank for track in timeline.tracks)
    records = [_record(number, track, labels) for number, track in enumerate(timeline.tracks)]
    hosted = [_with_hosts(record, records) for record in records if len(record.visits)]
    if not hosted:
        raise ValueError("The timeline has no run to draw. Record one with: with engine.record() as timeline")
    return list(_in_order(hosted, None))


def _record(number: int, track: Track, labels: Mapping[int, str]) -> EngineRecord:
    visits, rank = Visits(track), "" if track.rank is None else labels.get(track.rank.number, "")
    runs = tuple(find_runs(visits))
    return EngineRecord(number, track.name, visits, runs, Estimate(track, visits), rank=rank)


def _in_order(records: list[EngineRecord], parent: int | None) -> Iterator[EngineRecord]:
    for record in records:
        if record.parent == parent:
            yield record
            yield from _in_order(records, record.number)


def _find_host(record: EngineRecord, start: int, end: int) -> Host | None:
    """Return the handler call or the visit of an engine that lasted from `start` to `end` or longer."""
    visits = record.visits
    spans = visits.spans
    index = bisect_right(spans.starts, start) - 1
    if index >= 0 and spans.ends[index] >= end:
        handler = visits.track.handlers[spans.handlers[index]]
        return Host(record.number, spans.starts[index], spans.ends[index], handler)
    index = bisect_right(visits.starts, start) - 1
    if index >= 0 and visits.end(index) >= end:
        return Host(record.number, visits.start(index), visits.end(index), visits[index])
    return None


def _with_hosts(record: EngineRecord, others: Sequence[EngineRecord]) -> EngineRecord:
    """Return `record` with the hosts of its runs, from the engine whose calls and visits were the shortest."""
    candidates: list[tuple[Host, ...]] = []
    for other in others:
        if other.number == record.number or other.rank != record.rank:
            continue
        found = [_find_host(other, run.start, run.end) for run in record.runs]
        hosts = tuple(host for host in found if host is not None)
        if hosts and len(hosts) == len(record.runs):
            candidates.append(hosts)
    shortest = min(candidates, key=lambda hosts: sum(host.end - host.start for host in hosts), default=())
    return replace(record, hosts=shortest)
