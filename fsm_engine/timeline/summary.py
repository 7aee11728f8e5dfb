"""Summary of a timeline: the time per phase, transition and handler."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from fsm_engine._util.tables import align
from fsm_engine.timeline.estimate import Estimate
from fsm_engine.timeline.rank import rank_labels
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import PAUSE, MoveKind, Sampling, Track
from fsm_engine.timeline.units import format_duration
from fsm_engine.timeline.visits import Visits, category


@dataclass(frozen=True)
class DurationStats:
    """Statistics of the recorded durations of one thing, in nanoseconds.

    Attributes:
        count: the number of durations.
        total: their sum.
        p50: the median.
        p95: the 95th percentile.
        max: the longest.
        share: their share of the time of all runs. If iterations were left out, this is an estimate that assumes that
            they were like the recorded ones.
        device: the sum of the device times; None if they were not recorded.
    """

    count: int
    total: int
    p50: int
    p95: int
    max: int
    share: float
    device: int | None = None

    @property
    def mean(self) -> float:
        """The mean."""
        return self.total / self.count


@dataclass(frozen=True, repr=False)
class TrackSummary:
    """Where the time of one track went, in nanoseconds.

    If iterations were left out, `data`, `step`, `other` and `in_handlers` are estimates that assume that they were like
    the recorded ones.

    Attributes:
        name: the name of the track.
        total: the time of all runs.
        phases: by phase, the visits.
        transitions: by transition, the activities that it ended.
        handlers: by handler and event, the calls.
        data: the time of waits for data.
        step: the time of the activities in iterations.
        other: the time of other activities and of the engine itself.
        sampling: which iterations were recorded; None for all.
        paused: the time for which an inspector paused the run. The other times and the shares do not include it.
        waits: the time of waits for other ranks, which is a part of the times above; None if it is unknown. The first
            track of a rank has the waits of the rank.
    """

    name: str
    total: int
    phases: Mapping[str, DurationStats]
    transitions: Mapping[str, DurationStats]
    handlers: Mapping[str, DurationStats]
    data: int
    step: int
    other: int
    sampling: Sampling | None = None
    paused: int = 0
    waits: int | None = None

    @property
    def in_handlers(self) -> int:
        """The time of handlers, in nanoseconds."""
        return self.total - self.data - self.step - self.other

    @property
    def heading(self) -> str:
        """The name, the total time, and its parts."""
        parts = {"data": self.data, "step": self.step, "handlers": self.in_handlers, "other": self.other}
        shares = ", ".join(f"{name} {_format(part)} ({part / max(self.total, 1):.0%})" for name, part in parts.items())
        return f"{self.name}: {_format(self.total)}; {shares}"

    @property
    def note(self) -> str:
        """Sentences about waits for ranks, pauses, and iterations that were left out; empty if there are none."""
        waits, whole = self.waits, max(self.total, 1)
        notes = [] if waits is None else [f"waits for other ranks {_format(waits)} ({waits / whole:.0%})"]
        notes += [f"paused for {_format(self.paused)}, which the times do not include"] if self.paused else []
        if self.sampling is not None:
            notes.append(f"{self.sampling}: the times above and the shares are estimates")
        return "\n".join(notes)

    @property
    def tables(self) -> tuple[tuple[str, Mapping[str, DurationStats]], ...]:
        """The statistics of phases, transitions and handlers, as far as there are any."""
        all_tables = (("phase", self.phases), ("transition", self.transitions), ("handler", self.handlers))
        return tuple((what, stats) for what, stats in all_tables if stats)

    def __str__(self) -> str:
        lines = [self.heading, *([self.note] if self.note else [])]
        for what, stats in self.tables:
            lines += ["", *align(stats_table(what, stats), left=1)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<TrackSummary {self.heading}>"

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, str]:
        return Summary((self,))._repr_mimebundle_()


@dataclass(frozen=True, repr=False)
class Summary:
    """The summary of each track; print it for tables."""

    tracks: tuple[TrackSummary, ...]

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.tracks)) or "nothing was recorded"

    def __repr__(self) -> str:
        return f"<Summary of {' | '.join(track.heading for track in self.tracks) or 'nothing'}>"

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, str]:
        from fsm_engine._util.html import block, mimebundle
        from fsm_engine.timeline.summary_html import summary_parts

        return mimebundle(self.__str__, lambda: block(*summary_parts(self)))


def summarize(timeline: Timeline) -> Summary:
    """Return the summary of each track. Their names have the ranks if there are several."""
    labels = rank_labels(track.rank for track in timeline.tracks)
    summaries = []
    for track, summary in zip(timeline.tracks, map(summarize_track, timeline.tracks)):
        label = "" if track.rank is None else labels.get(track.rank.number, "")
        summaries.append(replace(summary, name=f"{label}: {summary.name}" if label else summary.name))
    return Summary(tuple(summaries))


class _Durations:
    """Durations of one thing, the estimate of their sum over all iterations, and the sum of their device times."""

    def __init__(self) -> None:
        self.durations: list[int] = []
        self.estimated = 0
        self.device: int | None = None

    def add(self, durations: Iterable[int], estimated: int, device: Sequence[int] = ()) -> None:
        self.durations.extend(durations)
        self.estimated += estimated
        if device:
            self.device = sum(device) + (self.device or 0)

    def stats(self, total: int) -> DurationStats:
        ordered = sorted(self.durations)
        p50, p95 = (ordered[max(ceil(part * len(ordered)), 1) - 1] for part in (0.5, 0.95))  # nearest rank
        share = self.estimated / total if total else 0.0
        return DurationStats(len(ordered), sum(ordered), p50, p95, ordered[-1], share, self.device)


_Table = defaultdict[str, _Durations]


def summarize_track(track: Track) -> TrackSummary:
    """Return the summary of one track."""
    visits = Visits(track)
    estimate = Estimate(track, visits)
    durations, paused = _without_pauses(track, visits)
    total = sum(durations) + estimate.left_out
    phases, transitions = _Table(_Durations), _Table(_Durations)
    spent: Counter[str] = Counter()
    device_times = track.device_times
    for (entered, left), indices in _group_by_moves(visits).items():
        lasted = [durations[index] for index in indices]
        active = [visits.durations[index] - visits.columns.in_handlers[index] for index in indices]
        moves = (visits.columns.entered[index] for index in indices)
        device = [device_times[move] for move in moves if move in device_times]
        phase = entered.target
        phases[phase].add(lasted, estimate.scale(phase, sum(lasted)), device)
        estimated = estimate.scale(phase, sum(active))
        spent[category(entered)] += estimated
        if left.is_transition:
            transitions[str(left)].add(active, estimated, device)
    phase_stats, transition_stats, handler_stats = (
        {name: one.stats(total) for name, one in table.items()}
        for table in (phases, transitions, _handler_table(track, visits, estimate))
    )
    times = spent["data"], spent["step"], spent["phase"]
    waits = None if track.waits is None else sum(end - start for start, end, _, _ in track.waits)
    tables = phase_stats, transition_stats, handler_stats
    return TrackSummary(track.name, total, *tables, *times, track.sampling, paused, waits)


def _without_pauses(track: Track, visits: Visits) -> tuple[list[int], int]:
    """Return the durations of the visits without the pauses in them, and the time of all pauses."""
    durations, paused = list(visits.durations), 0
    for start, end in track.pauses:
        visit = bisect_right(visits.starts, start) - 1
        if visit >= 0 and end <= visits.end(visit):
            durations[visit] -= end - start
            paused += end - start
    return durations, paused


def _group_by_moves(visits: Visits) -> dict[tuple[MoveKind, MoveKind], list[int]]:
    """Return the indices of the visits, by the kinds of the moves that began and ended them."""
    numbers, kinds = visits.moves.kinds, visits.track.kinds
    groups: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for index, move in enumerate(visits.columns.entered):
        groups[numbers[move], numbers[move + 1]].append(index)
    return {(kinds[entered], kinds[left]): indices for (entered, left), indices in groups.items()}


def _handler_table(track: Track, visits: Visits, estimate: Estimate) -> _Table:
    """Return the durations of calls, by handler and event. A call belongs to the visit that began last before it."""
    table = _Table(_Durations)
    names = list(map(str, track.handlers))
    starts, ends, handlers, _ = visits.calls
    for start, end, number in zip(starts, ends, handlers):
        if track.handlers[number] == PAUSE:
            continue
        estimated = end - start
        if estimate.left_out and visits:
            visit = max(bisect_right(visits.starts, start) - 1, 0)
            estimated = estimate.scale(track.kinds[visits.kinds[visit]].target, estimated)
        table[names[number]].add((end - start,), estimated)
    return table


def stats_table(what: str, stats: Mapping[str, DurationStats], most: int | None = None) -> list[tuple[str, ...]]:
    """Return the head and the rows of a table, longest first; only the first `most` rows if it is given."""
    has_device = any(one.device is not None for one in stats.values())
    rows: list[tuple[str, ...]] = [(what, "count", "total", "mean", "p50", "p95", "max", "share")]
    rows[0] += ("device",) if has_device else ()
    for name, one in sorted(stats.items(), key=lambda item: (-item[1].share, -item[1].total))[:most]:
        times = map(_format, (one.total, one.mean, one.p50, one.p95, one.max))
        device = ["" if one.device is None else _format(one.device)] if has_device else []
        rows.append((name, str(one.count), *times, f"{one.share:.1%}", *device))
    return rows


def _format(nanoseconds: float) -> str:
    return format_duration(nanoseconds).replace("µ", "u")  # some terminals cannot show it
