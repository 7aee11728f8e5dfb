"""A timeline as slices in lanes, for trace viewers. The slices of a lane are nested.

A track has a lane for each scope, one for its phases, one for waits for other ranks, and one for handler calls. It has
more lanes for handler calls if handlers were called in several threads at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

from fsm_engine.timeline.columns import span_columns
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import MoveKind, Track


class Lane(NamedTuple):
    """A row of slices.

    Attributes:
        number: unique in the timeline, from 1, in the order in which lanes are shown.
        track: the index of the track.
        name: the name of the scope, ``phases``, ``waits for ranks`` or ``handlers``.
    """

    number: int
    track: int
    name: str


class SliceType(NamedTuple):
    """The properties that slices of the same phase, scope or handler share.

    Attributes:
        name: without counters, so that a viewer can sum slices by name.
        category: ``scope``, ``phase``, ``wait``, ``handler``, or ``gap`` for iterations that were not recorded.
        args: further properties.
    """

    name: str
    category: str
    args: tuple[tuple[str, Any], ...] = ()


class Slice(NamedTuple):
    """A time span in a lane.

    Attributes:
        lane: the lane.
        type: the type.
        start: in nanoseconds of the monotonic clock.
        end: likewise.
        counters: the epoch and the iteration at the end; None for a handler call and for a wait.
        device: for a phase, how long the work submitted in it took on a device, in nanoseconds, if known.
    """

    lane: Lane
    type: SliceType
    start: int
    end: int
    counters: tuple[int, int] | None
    device: int | None = None


class Flow(NamedTuple):
    """An arrow from a slice to a run of another track that began inside it.

    Attributes:
        source: the handler call, or the phase whose activity started the run.
        target: the innermost scope that the run entered.
    """

    source: Slice
    target: Slice


_GAP = SliceType("iterations not recorded", "gap")


class _Scope(NamedTuple):
    lane: Lane
    type: SliceType


def slices(timeline: Timeline) -> Iterator[Slice]:
    """Yield all slices. In a lane they are ordered by start, an outer slice before the slices inside it."""
    numbers = count(1)
    for index, track in enumerate(timeline.tracks):
        scopes = {
            path: _Scope(Lane(next(numbers), index, path[-1]), SliceType(path[-1], "scope"))
            for path in _scope_paths(track)
        }
        yield from _visit_slices(track, scopes, Lane(next(numbers), index, "phases"))
        if track.waits is not None:
            lane = Lane(next(numbers), index, "waits for ranks")
            for start, end, name, is_measured in track.waits:
                yield Slice(lane, SliceType(name, "wait", (("measured", is_measured),)), start, end, None)
        yield from _call_slices(track, index, numbers)


def _scope_paths(track: Track) -> list[tuple[str, ...]]:
    """Return the paths of all scopes of a track, outer scopes first."""
    paths = {kind.target_scopes[:depth] for kind in track.kinds for depth in range(1, len(kind.target_scopes) + 1)}
    return sorted(paths, key=lambda path: (len(path), path))


def _visit_slices(track: Track, scopes: dict[tuple[str, ...], _Scope], phases: Lane) -> Iterator[Slice]:
    """Yield a slice for each visit of a phase, and for each scope from the move that enters it to the one that leaves.

    The scopes of a run end where it is suspended and where the recording ends. A resumed run enters new ones.
    """
    entries, device_times = [_entry(kind, scopes) for kind in track.kinds], track.device_times
    open_scopes: list[tuple[_Scope, int]] = []
    around: tuple[_Scope, ...] = ()
    phase: SliceType | None = None
    entered = 0
    counters = 0, 0

    def close(depth: int, time: int, counters: tuple[int, int]) -> Iterator[Slice]:
        while len(open_scopes) > depth:
            (lane, type_), start = open_scopes.pop()
            yield Slice(lane, type_, start, time, counters)

    for index, (time, number, epoch, iteration) in enumerate(track.move_ring):
        next_around, next_phase, starts_run = entries[number]
        if starts_run:  # scopes that are still open were cut off
            yield from close(0, entered, counters)
            around = ()
        elif phase is not None:
            device = device_times.get(index - 1) if phase.category == "phase" else None
            yield Slice(phases, phase, entered, time, (epoch, iteration), device)
        if next_around != around:
            kept = next(
                (n for n, (one, other) in enumerate(zip(next_around, around)) if one != other),
                min(len(next_around), len(around)),
            )
            yield from close(kept, time, (epoch, iteration))
            open_scopes += [(scope, time) for scope in next_around[kept:]]
            around = next_around
        phase, entered, counters = next_phase, time, (epoch, iteration)
    yield from close(0, entered, counters)


def _entry(kind: MoveKind, scopes: dict[tuple[str, ...], _Scope]) -> tuple[tuple[_Scope, ...], SliceType | None, bool]:
    """Return the scopes and the phase that a move enters, and whether it starts or resumes a run."""
    if not kind.is_transition:
        return (), None, False
    path = kind.target_scopes
    around = tuple(scopes[path[:depth]] for depth in range(1, len(path) + 1))
    phase = _GAP if kind.starts_gap else SliceType(kind.target.rpartition(".")[2], "phase")
    return around, phase, kind.trigger == "run"


def _call_slices(track: Track, index: int, numbers: Iterator[int]) -> Iterator[Slice]:
    """Yield a slice for each handler call, in the first lane where it is nested in the open calls."""
    types = [SliceType(h.name, "handler", (("event", h.event), ("place", h.place))) for h in track.handlers]
    types_if_raised = [type_._replace(args=(*type_.args, ("raised", True))) for type_ in types]
    lanes: list[tuple[Lane, list[int]]] = []  # with the ends of the open calls
    for start, end, number, raised in zip(*span_columns(track)):
        lane = next((lane for lane, ends in lanes if _nests(ends, start, end)), None)
        if lane is None:
            lane = Lane(next(numbers), index, f"handlers {len(lanes) + 1}" if lanes else "handlers")
            lanes.append((lane, [end]))
        yield Slice(lane, (types_if_raised if raised else types)[number], start, end, None)


def _nests(ends: list[int], start: int, end: int) -> bool:
    """Return True if a call is nested in the open calls of a lane, and open it there. Calls that ended are closed."""
    while ends and ends[-1] <= start:
        ends.pop()
    fits = not ends or end <= ends[-1]
    if fits:
        ends.append(end)
    return fits


class Flows:
    """Finds the flows of a timeline from its slices.

    Attributes:
        is_needed: whether there can be any.
    """

    def __init__(self, timeline: Timeline) -> None:
        starts = _run_starts(timeline)
        self.is_needed = len(timeline.tracks) > 1 and bool(starts)
        self._runs = [starts.get(_thread(track), []) for track in timeline.tracks]  # the runs of the same thread
        self._starts = {run for runs in starts.values() for run in runs}
        self._sources: dict[tuple[int, int], Slice] = {}  # by the time when a run started, and its track
        self._targets: dict[tuple[int, int], Slice] = {}

    def add(self, slice_: Slice) -> None:
        """Add a slice. All slices have to be added in their order."""
        track, start = slice_.lane.track, slice_.start
        if slice_.type.category == "wait":
            return
        if slice_.type.category == "scope":
            if (start, track) in self._starts:
                known = self._targets.get((start, track), slice_)
                self._targets[start, track] = max(slice_, known)  # the innermost
            return
        runs = self._runs[track]
        for index in range(bisect_right(runs, (start, len(self._runs))), len(runs)):
            run = runs[index]
            if run[0] >= slice_.end:
                break
            if run[1] != track and (run not in self._sources or self._sources[run].start <= start):
                self._sources[run] = slice_

    def found(self) -> list[Flow]:
        """Return the flows, ordered by time."""
        return [
            Flow(source, self._targets[run]) for run, source in sorted(self._sources.items()) if run in self._targets
        ]


def _thread(track: Track) -> tuple[int | None, str]:
    """Return the rank and the name of the thread that ran a track."""
    return None if track.rank is None else track.rank.number, track.thread


def _run_starts(timeline: Timeline) -> dict[tuple[int | None, str], list[tuple[int, int]]]:
    """Return by thread the times when runs started or resumed, each with the index of the track."""
    found: dict[tuple[int | None, str], list[tuple[int, int]]] = {}
    for index, track in enumerate(timeline.tracks):
        starts_run = [kind.trigger == "run" for kind in track.kinds]
        found.setdefault(_thread(track), []).extend(
            (time, index) for time, number, _, _ in track.move_ring if starts_run[number]
        )
    return {thread: sorted(runs) for thread, runs in found.items() if runs}
