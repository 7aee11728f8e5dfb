"""What the time of a run was spent on, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from fsm_engine.tables import aligned
from fsm_engine.timeline.track import Track
from fsm_engine.timeline.units import duration
from fsm_engine.timeline.visits import visits

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
        share: of the time in which runs were going on.
    """

    count: int
    total: int
    p50: int
    p95: int
    max: int
    share: float

    @property
    def mean(self) -> float:
        """How long one took on average."""
        return self.total / self.count


@dataclass(frozen=True)
class Account:
    """Where the time of one track went.

    Attributes:
        name: of the track.
        total: how long runs were going on, in nanoseconds.
        phases: per phase, from entering it to leaving it.
        transitions: per transition, what was done before it was taken: the activity of its source.
        handlers: per handler and event.
        data: how long the run waited for its data.
        step: how long the activities of an iteration took.
        other: what is left of activities, and the engine itself.
    """

    name: str
    total: int
    phases: Mapping[str, Times]
    transitions: Mapping[str, Times]
    handlers: Mapping[str, Times]
    data: int
    step: int
    other: int

    @property
    def in_handlers(self) -> int:
        """How long handlers took, in nanoseconds."""
        return self.total - self.data - self.step - self.other

    def __str__(self) -> str:
        parts = {"data": self.data, "step": self.step, "handlers": self.in_handlers, "other": self.other}
        spent = ", ".join(f"{name} {_read(part)} ({part / max(self.total, 1):.0%})" for name, part in parts.items())
        tables = {"phase": self.phases, "transition": self.transitions, "handler": self.handlers}
        lines = [f"{self.name}: {_read(self.total)}; {spent}"]
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


def _account(track: Track) -> Account:
    phases: dict[str, list[int]] = {}
    transitions: dict[str, list[int]] = {}
    handlers: dict[str, list[int]] = {}
    spent: Counter[str] = Counter()
    total = 0
    for visit in visits(track):
        total += visit.duration
        spent[visit.spent_on] += visit.in_activity
        phases.setdefault(visit.phase, []).append(visit.duration)
        if not visit.way_out.is_rest:
            transitions.setdefault(str(visit.way_out), []).append(visit.in_activity)
    for span in track.spans:
        handlers.setdefault(f"{span.called.handler} on {span.called.event}", []).append(span.duration)
    tables = [
        {name: _times(durations, total) for name, durations in table.items()}
        for table in (phases, transitions, handlers)
    ]
    return Account(track.name, total, tables[0], tables[1], tables[2], spent["data"], spent["step"], spent["phase"])


def _times(durations: Iterable[int], whole: int) -> Times:
    all_ = sorted(durations)
    share = sum(all_) / whole if whole else 0.0
    return Times(len(all_), sum(all_), _rank(all_, 0.5), _rank(all_, 0.95), all_[-1], share)


def _rank(all_: list[int], part: float) -> int:
    """Return the smallest value that `part` of all are at most as large as (the nearest-rank percentile)."""
    return all_[max(ceil(part * len(all_)), 1) - 1]


def _table(what: str, times: Mapping[str, Times]) -> list[str]:
    rows = [(what, "count", "total", "mean", "p50", "p95", "max", "share")]
    for name, t in sorted(times.items(), key=lambda item: -item[1].total):
        values = (_read(t.total), _read(t.mean), _read(t.p50), _read(t.p95), _read(t.max))
        rows.append((name, str(t.count), *values, f"{t.share:.1%}"))
    return aligned(rows, left=1)


def _read(nanoseconds: float) -> str:
    return duration(nanoseconds).replace("µ", "u")  # a terminal may know no other letters
