"""What the time of a run was spent on, in numbers."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from fsm_engine._util.tables import align
from fsm_engine.timeline.columns import spans
from fsm_engine.timeline.gaps import Estimate
from fsm_engine.timeline.track import Kind, Sampling, Track
from fsm_engine.timeline.units import duration
from fsm_engine.timeline.visits import Visits, spent_on, visits

if TYPE_CHECKING:
    from fsm_engine.timeline.timeline import Timeline


@dataclass(frozen=True)
class Times:
    """Durations of the same thing, in nanoseconds.

    Attributes:
        count: how many there were.
        total: how long all took together.
        p50: half of them took at most this long.
        p95: and 95 in 100 at most this.
        max: the longest.
        share: of the time in which runs were going on. Where iterations were left out it is an estimate, which takes
            them to be like those that were kept; all else is about those that were kept.
        device: how long a device took for what was done meanwhile, all together; None where that was not recorded.
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
        """How long one took on average."""
        return self.total / self.count


@dataclass(frozen=True)
class Account:
    """Where the time of one track went.

    Where iterations were left out, `data`, `step`, `other` and `in_handlers` are estimates: their time is divided like
    that of those that were kept.

    Attributes:
        name: of the track.
        total: how long runs were going on, in nanoseconds.
        phases: per phase, from entering it to leaving it.
        transitions: per transition, what was done before it was taken: the activity of its source.
        handlers: per handler and event.
        data: how long the run waited for its data.
        step: how long the activities of an iteration took.
        other: what is left of activities, and the engine itself.
        sampling: which iterations were left out, if any were.
    """

    name: str
    total: int
    phases: Mapping[str, Times]
    transitions: Mapping[str, Times]
    handlers: Mapping[str, Times]
    data: int
    step: int
    other: int
    sampling: Sampling | None = None

    @property
    def in_handlers(self) -> int:
        """How long handlers took, in nanoseconds."""
        return self.total - self.data - self.step - self.other

    def __str__(self) -> str:
        parts = {"data": self.data, "step": self.step, "handlers": self.in_handlers, "other": self.other}
        spent = ", ".join(f"{name} {_read(part)} ({part / max(self.total, 1):.0%})" for name, part in parts.items())
        tables = {"phase": self.phases, "transition": self.transitions, "handler": self.handlers}
        lines = [f"{self.name}: {_read(self.total)}; {spent}"]
        if self.sampling is not None:
            lines.append(f"{self.sampling}: shares, and what is above, take them to be like the others")
        for what, times in tables.items():
            if times:
                lines += ["", *_table(what, times)]
        return "\n".join(lines)


@dataclass(frozen=True)
class Summary:
    """The account of each track."""

    accounts: tuple[Account, ...]

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.accounts)) or "nothing was recorded"


def summarized(timeline: Timeline) -> Summary:
    """Return what the time of each track was spent on."""
    return Summary(tuple(map(_account, timeline.tracks)))


class _Pile:
    """Durations of the same thing, what they stand for, and how long a device took for them."""

    def __init__(self) -> None:
        self.durations: list[int] = []
        self.estimated = 0
        self.device: int | None = None

    def add(self, durations: Iterable[int], estimated: int, device: int | None = None) -> None:
        self.durations.extend(durations)
        self.estimated += estimated
        if device is not None:
            self.device = device + (self.device or 0)

    def times(self, whole: int) -> Times:
        all_ = sorted(self.durations)
        share = self.estimated / whole if whole else 0.0
        return Times(len(all_), sum(all_), _rank(all_, 0.5), _rank(all_, 0.95), all_[-1], share, self.device)


class _Alike:
    """Visits that begin with one kind of move and end with another: how long they took, and without handlers."""

    def __init__(self) -> None:
        self.durations: list[int] = []
        self.active: list[int] = []
        self.device: int | None = None


def _account(track: Track) -> Account:
    found = visits(track)
    estimate = Estimate(track, found)
    total = sum(found.durations) + estimate.left_out
    phases: defaultdict[str, _Pile] = defaultdict(_Pile)
    transitions: defaultdict[str, _Pile] = defaultdict(_Pile)
    spent: Counter[str] = Counter()
    for (entered, left), alike in _alike(found):
        took, active = (sum(estimate.of(entered.target, one) for one in of) for of in (alike.durations, alike.active))
        spent[spent_on(entered)] += active
        phases[entered.target].add(alike.durations, took, alike.device)
        if not left.is_rest:
            transitions[str(left)].add(alike.active, active, alike.device)
    tables = [
        {name: pile.times(total) for name, pile in table.items()}
        for table in (phases, transitions, _handlers(track, found, estimate))
    ]
    data, step, other = (spent[what] for what in ("data", "step", "phase"))
    return Account(track.name, total, tables[0], tables[1], tables[2], data, step, other, track.sampling)


def _alike(found: Visits) -> Iterator[tuple[tuple[Kind, Kind], _Alike]]:
    """Yield the kinds of move around visits, and those visits."""
    numbers, device = found.moves.kinds, found.track.device_times
    groups: defaultdict[tuple[int, int], _Alike] = defaultdict(_Alike)
    for place, took, handled in zip(found.stays.entered, found.durations, found.stays.handled):
        alike = groups[numbers[place], numbers[place + 1]]
        alike.durations.append(took)
        alike.active.append(took - handled)
        if place in device:
            alike.device = device[place] + (alike.device or 0)
    kinds = found.track.kinds
    return (((kinds[entered], kinds[left]), alike) for (entered, left), alike in groups.items())


def _handlers(track: Track, found: Visits, estimate: Estimate) -> Mapping[str, _Pile]:
    """Return what calls took, by handler and event; each is within the visit that began last."""
    piles: defaultdict[str, _Pile] = defaultdict(_Pile)
    called = spans(track)
    names = [f"{handler.name} on {handler.event}" for handler in track.handlers]
    for start, end, number in zip(called.starts, called.ends, called.handlers):
        estimated = end - start
        if estimate.left_out and found:
            place = max(bisect_right(found.starts, start) - 1, 0)
            estimated = estimate.of(track.kinds[found.numbers[place]].target, estimated)
        piles[names[number]].add((end - start,), estimated)
    return piles


def _rank(all_: list[int], part: float) -> int:
    """Return the smallest value that `part` of all are at most as large as (the nearest-rank percentile)."""
    return all_[max(ceil(part * len(all_)), 1) - 1]


def _table(what: str, times: Mapping[str, Times]) -> list[str]:
    has_device = any(t.device is not None for t in times.values())
    rows = [(what, "count", "total", "mean", "p50", "p95", "max", "share", *(["device"] if has_device else []))]
    for name, t in sorted(times.items(), key=lambda item: (-item[1].share, -item[1].total)):
        values = (_read(t.total), _read(t.mean), _read(t.p50), _read(t.p95), _read(t.max))
        device = ["" if t.device is None else _read(t.device)] if has_device else []
        rows.append((name, str(t.count), *values, f"{t.share:.1%}", *device))
    return align(rows, left=1)


def _read(nanoseconds: float) -> str:
    return duration(nanoseconds).replace("µ", "u")  # a terminal may know no other letters
