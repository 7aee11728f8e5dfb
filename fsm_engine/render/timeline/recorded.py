"""What a picture of a timeline is made from: each track's runs, and which call of a handler ran it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from fsm_engine.render.labels import one_line
from fsm_engine.render.timeline.stretches import Stretch, end, runs, start
from fsm_engine.timeline.gaps import Estimate
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import HandlerRef, Track
from fsm_engine.timeline.visits import Visit, Visits, visits


class Host(NamedTuple):
    """What ran a run of another engine.

    Attributes:
        track: its number.
        start: when it began, in nanoseconds.
        end: when it ended.
        what: a call of a handler, or a visit of a phase.
    """

    track: int
    start: int
    end: int
    what: HandlerRef | Visit


@dataclass(frozen=True)
class Recorded:
    """What one engine did.

    Attributes:
        number: of its track.
        name: of its lifecycle.
        visits: the visits of its phases.
        runs: the same, nested.
        estimate: what a time in a visit stands for.
        hosts: what ran each run; empty unless every one was run by another engine.
    """

    number: int
    name: str
    visits: Visits
    runs: tuple[Stretch, ...]
    estimate: Estimate
    hosts: tuple[Host, ...] = ()

    @property
    def within(self) -> int | None:
        """The number of the track that ran it."""
        return self.hosts[0].track if self.hosts else None

    @property
    def duration(self) -> int:
        """How long its runs took together, in nanoseconds."""
        return sum(end(run) - start(run) for run in self.runs)


def recorded(timeline: Timeline) -> list[Recorded]:
    """Return what the engines of a timeline did: each one followed by those that it ran. Empty tracks are left out.

    Raises:
        ValueError: all tracks are empty.
    """
    alone = [_alone(number, track) for number, track in enumerate(timeline.tracks)]
    hosted = [_hosted(one, alone) for one in alone if len(one.visits)]
    if not hosted:
        raise ValueError("There is nothing to draw: no run was recorded. See Engine.record.")
    return list(_ordered(hosted, None))


def _alone(number: int, track: Track) -> Recorded:
    found = visits(track)
    return Recorded(number, track.name, found, tuple(runs(found)), Estimate(track, found))


def _ordered(hosted: list[Recorded], within: int | None) -> Iterator[Recorded]:
    for one in hosted:
        if one.within == within:
            yield one
            yield from _ordered(hosted, one.number)


def _host(one: Recorded, begin: int, finish: int) -> Host | None:
    """Return what an engine was doing the whole time from one moment to another."""
    spans, visits = one.visits.spans, one.visits
    place = bisect_right(spans.starts, begin) - 1
    if place >= 0 and spans.ends[place] >= finish:
        handler = visits.track.handlers[spans.handlers[place]]
        return Host(one.number, spans.starts[place], spans.ends[place], handler)
    place = bisect_right(visits.starts, begin) - 1
    if place >= 0 and visits.end(place) >= finish:
        return Host(one.number, visits.start(place), visits.end(place), visits[place])
    return None


def _hosted(one: Recorded, others: Sequence[Recorded]) -> Recorded:
    """Return `one` with the hosts of its runs: those of the track that held each of them for the shortest time."""
    candidates: list[tuple[Host, ...]] = []
    for other in others:
        found = [_host(other, start(run), end(run)) for run in one.runs if other.number != one.number]
        hosts = tuple(host for host in found if host is not None)
        if hosts and len(hosts) == len(one.runs):
            candidates.append(hosts)
    shortest = min(candidates, key=lambda hosts: sum(host.end - host.start for host in hosts), default=())
    return replace(one, hosts=shortest)


def heading(engine: Recorded) -> str:
    """Return what is written above an engine: its name, and what ran it."""
    if not engine.hosts:
        return one_line(engine.name)
    what = engine.hosts[0].what
    by = what.name if isinstance(what, HandlerRef) else what.phase
    return one_line(f"{engine.name}, run by {by.rpartition('.')[2]}")
