"""A timeline as slices in lanes, for the formats of other programs: what is in one lane nests.

Each track has a lane for every scope, one for its phases, and one for the calls of handlers; further ones if handlers
were called in several threads at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from fsm_engine.timeline.track import Kind, Track

if TYPE_CHECKING:
    from fsm_engine.timeline.timeline import Timeline


class Lane(NamedTuple):
    """A row of slices.

    Attributes:
        number: unique in its timeline, counted from 1, in the order in which lanes are shown.
        track: the number of the track.
        name: what is in it.
    """

    number: int
    track: int
    name: str


class What(NamedTuple):
    """What slices have in common that stand for the same.

    Attributes:
        name: without numbers, so that programs can add up slices of one name.
        category: ``scope``, ``phase``, ``handler``, or ``gap`` for iterations that were left out.
        args: what else is said of it.
    """

    name: str
    category: str
    args: tuple[tuple[str, Any], ...] = ()


class Slice(NamedTuple):
    """Something that took a time.

    Attributes:
        lane: where it is shown.
        what: what it is.
        start: when it began, in nanoseconds of the monotonic clock.
        end: when it ended.
        counters: the epoch and the iteration when it ended; None for the call of a handler.
        device: how long a device took for it, in nanoseconds, if that is known of a phase.
    """

    lane: Lane
    what: What
    start: int
    end: int
    counters: tuple[int, int] | None
    device: int | None = None


class Flow(NamedTuple):
    """An arrow from what began a run to that run, which is in another track.

    Attributes:
        source: the handler's call, or the phase whose activity it was.
        target: the scope that the run entered.
    """

    source: Slice
    target: Slice


_GAP = What("iterations not recorded", "gap")


class _Scope(NamedTuple):
    lane: Lane
    what: What


def slices(timeline: Timeline) -> Iterator[Slice]:
    """Yield all slices; those of one lane in the order in which they begin, what holds others before those."""
    numbers = count(1)
    for place, track in enumerate(timeline.tracks):
        scopes = {path: _Scope(Lane(next(numbers), place, path[-1]), What(path[-1], "scope")) for path in _paths(track)}
        yield from _stays(track, scopes, Lane(next(numbers), place, "phases"))
        yield from _calls(track, place, numbers)


def _paths(track: Track) -> list[tuple[str, ...]]:
    """Return the paths of all scopes of a track, those inside a scope behind it."""
    paths = {kind.target_scopes[:depth] for kind in track.kinds for depth in range(1, len(kind.target_scopes) + 1)}
    return sorted(paths, key=lambda path: (len(path), path))


def _stays(track: Track, scopes: dict[tuple[str, ...], _Scope], phases: Lane) -> Iterator[Slice]:
    """Yield the visits of phases, and the scopes from the move that enters one to the move that leaves it.

    Where a run is suspended, its scopes end, and those that it goes on in begin anew. Those that are open at the end
    of the recording end with it.
    """
    entries, device = [_entry(kind, scopes) for kind in track.kinds], track.device_times
    open_: list[tuple[Lane, What, int]] = []
    around: tuple[_Scope, ...] = ()
    phase: What | None = None
    entered = 0
    counters = 0, 0
    for place, (time, number, epoch, iteration) in enumerate(track.move_ring):
        counters_now = epoch, iteration
        wanted, following, begins = entries[number]
        if begins:  # whatever was open was cut off
            yield from _closed(open_, 0, entered, counters)
            around = ()
        elif phase is not None:
            took = device.get(place - 1) if phase.category == "phase" else None
            yield Slice(phases, phase, entered, time, counters_now, took)
        if wanted != around:
            stays = _shared(wanted, around)
            yield from _closed(open_, stays, time, counters_now)
            open_ += [(*scope, time) for scope in wanted[stays:]]
            around = wanted
        phase, entered, counters = following, time, counters_now
    yield from _closed(open_, 0, entered, counters)


def _entry(kind: Kind, scopes: dict[tuple[str, ...], _Scope]) -> tuple[tuple[_Scope, ...], What | None, bool]:
    """Return what a move of that kind enters: the scopes around its target, its phase, and whether it begins a run."""
    if kind.is_rest:
        return (), None, False
    path = kind.target_scopes
    around = tuple(scopes[path[:depth]] for depth in range(1, len(path) + 1))
    phase = _GAP if kind.is_cut else What(kind.target.rpartition(".")[2], "phase")
    return around, phase, kind.trigger == "run"


def _shared(one: tuple[Any, ...], other: tuple[Any, ...]) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))


def _closed(open_: list[tuple[Lane, What, int]], stays: int, time: int, counters: tuple[int, int]) -> Iterator[Slice]:
    while len(open_) > stays:
        lane, what, start = open_.pop()
        yield Slice(lane, what, start, time, counters)


def _calls(track: Track, place: int, numbers: Iterator[int]) -> Iterator[Slice]:
    """Yield the calls of handlers, each in the first lane where it lies inside what is going on there."""
    named = [What(h.name, "handler", (("event", h.event), ("place", h.place))) for h in track.handlers]
    raised = [what._replace(args=(*what.args, ("raised", True))) for what in named]
    lanes: list[tuple[Lane, list[int]]] = []  # with the ends of what is going on
    for start, end, number, failed in sorted(track.span_ring, key=_outer_first):
        lane = next((lane for lane, ends in lanes if _has_room(ends, start, end)), None)
        if lane is None:
            lane = Lane(next(numbers), place, f"handlers {len(lanes) + 1}" if lanes else "handlers")
            lanes.append((lane, [end]))
        yield Slice(lane, (raised if failed else named)[number], start, end, None)


def _has_room(ends: list[int], start: int, end: int) -> bool:
    """Say whether a call lies inside what is going on in a lane; if so, it goes on there."""
    while ends and ends[-1] <= start:
        ends.pop()
    fits = not ends or end <= ends[-1]
    if fits:
        ends.append(end)
    return fits


def _outer_first(row: tuple[int, ...]) -> tuple[int, int]:
    return row[0], -row[1]


def flows(timeline: Timeline) -> list[Flow]:
    """Return an arrow for each run that began inside a handler or an activity of another track of its thread."""
    finder = Flows(timeline)
    if finder.is_needed:
        for slice_ in slices(timeline):
            finder.see(slice_)
    return finder.found()


class Flows:
    """Finds the arrows of a timeline while somebody goes through its slices anyway.

    Attributes:
        is_needed: whether there can be any.
    """

    def __init__(self, timeline: Timeline) -> None:
        begun = _begun(timeline)
        self.is_needed = len(timeline.tracks) > 1 and bool(begun)
        self._runs = [begun.get(track.thread, []) for track in timeline.tracks]  # those of its thread, for each track
        self._starts = {run for runs in begun.values() for run in runs}
        self._sources: dict[tuple[int, int], Slice] = {}  # by when a run began, and in which track
        self._targets: dict[tuple[int, int], Slice] = {}

    def see(self, slice_: Slice) -> None:
        """Look at a slice; it has to be called with all of them, in their order."""
        lane, what, start, end = slice_[:4]
        track = lane.track
        if what.category == "scope":
            if (start, track) in self._starts:
                known = self._targets.get((start, track), slice_)
                self._targets[start, track] = max(slice_, known)  # the innermost
            return
        runs = self._runs[track]
        for place in range(bisect_right(runs, (start, len(self._runs))), len(runs)):
            run = runs[place]
            if run[0] >= end:
                break
            if run[1] != track and (run not in self._sources or self._sources[run].start <= start):
                self._sources[run] = slice_

    def found(self) -> list[Flow]:
        """Return the arrows, in the order of their times."""
        return [
            Flow(source, self._targets[run]) for run, source in sorted(self._sources.items()) if run in self._targets
        ]


def _begun(timeline: Timeline) -> dict[str, list[tuple[int, int]]]:
    """Return when runs began and in which track, by thread."""
    found: dict[str, list[tuple[int, int]]] = {}
    for place, track in enumerate(timeline.tracks):
        begins = [kind.trigger == "run" for kind in track.kinds]
        runs = [(time, place) for time, number, _, _ in track.move_ring if begins[number]]
        if runs:
            found.setdefault(track.thread, []).extend(runs)
    return {thread: sorted(runs) for thread, runs in found.items()}
