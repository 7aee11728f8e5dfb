"""How works are measured: contestants take turns in one process, and a line of a table says what came of it."""

from __future__ import annotations

import argparse
import gc
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Times = Mapping[str, float]


@dataclass(frozen=True)
class Contestant:
    """One of those that do the same work.

    Attributes:
        ready: makes everything afresh, untimed, and returns the call that is timed.
        units: how many iterations, or runs, that call makes.
    """

    name: str
    ready: Callable[[], Callable[[], object]]
    units: int = 1


@dataclass(frozen=True)
class Cost:
    """What a contestant takes per unit, or what it takes more than another one; a unit may have several parts."""

    of: str
    over: str | None = None
    per: int = 1

    @property
    def needs(self) -> set[str]:
        """The names of the contestants."""
        return {self.of} if self.over is None else {self.of, self.over}

    def __call__(self, times: Times) -> float:
        """Return the seconds of one round."""
        return (times[self.of] - (0.0 if self.over is None else times[self.over])) / self.per


@dataclass(frozen=True)
class Mark:
    """What is aimed at: the figure, computed from our seconds and the others', at most or at least `limit`."""

    figure: Callable[[float, float], float]
    limit: float | None
    at_least: bool = False
    unit: str = ""

    def __str__(self) -> str:
        return "" if self.limit is None else f"{'>=' if self.at_least else '<='} {self.limit:g}{self.unit}"

    def met(self, figure: float) -> str:
        """Say whether `figure` is as good as it should be."""
        if self.limit is None:
            return ""
        return "yes" if (figure >= self.limit if self.at_least else figure <= self.limit) else "NO"


@dataclass(frozen=True)
class Row:
    """A line of the table: two costs of the same round, and what is made of them."""

    work: str
    ours: Cost
    other: Cost
    other_name: str
    mark: Mark


@dataclass(frozen=True)
class Work:
    """Contestants that take turns, and the lines of the table that come of it."""

    contestants: Sequence[Contestant]
    rows: Sequence[Row]
    clock: Callable[[], float] = time.process_time
    missing: str = "pytorch-ignite is not installed"

    def can_tell(self, row: Row) -> bool:
        """Say whether all contestants that `row` needs are there; if not, `missing` says why."""
        return row.ours.needs | row.other.needs <= {contestant.name for contestant in self.contestants}


def at_most(limit: float | None) -> Mark:
    """Aim at costs of at most `limit` times the other's; None shows the ratio and aims at nothing."""
    return Mark(lambda ours, other: ours / other, limit)


def times_cheaper(limit: float) -> Mark:
    """Aim at costs that the other's are `limit` times of."""
    return Mark(lambda ours, other: other / ours, limit, at_least=True)


def milliseconds(limit: float) -> Mark:
    """Aim at costs of at most `limit` ms, whatever the other's are."""
    return Mark(lambda ours, _other: ours * 1e3, limit, unit=" ms")


def measure(work: Work, rounds: int) -> list[dict[str, float]]:
    """Let the contestants take turns, and return the seconds per unit of each round; one more round warms up."""
    gc.freeze()  # what is there by now need not be looked through before each measurement
    times = [
        {one.name: _timed(one.ready(), work.clock) / one.units for one in work.contestants} for _ in range(rounds + 1)
    ]
    gc.unfreeze()
    return times[1:]


def _timed(call: Callable[[], object], clock: Callable[[], float]) -> float:
    gc.collect()
    gc.disable()
    try:
        start = clock()
        call()
        return clock() - start
    finally:
        gc.enable()


# The table

LINE = "{:<46}{:>12}{:>12} {:<10}{:>8}{:>16}  {:<9}{:<4}"


def line(row: Row, rounds: Sequence[Times]) -> str:
    """Write the row: medians over the rounds, and the half of the rounds' figures that is in the middle."""
    ours, other = [row.ours(times) for times in rounds], [row.other(times) for times in rounds]
    figures = [row.mark.figure(mine, others) for mine, others in zip(ours, other)]
    low, middle, high = statistics.quantiles(figures, n=4)
    shown = [readable(statistics.median(seconds)) for seconds in (ours, other)]
    spread = f"{rounded(low)} .. {rounded(high)}"
    return LINE.format(row.work, *shown, row.other_name, rounded(middle), spread, str(row.mark), row.mark.met(middle))


def readable(seconds: float) -> str:
    """Write a time with the unit that suits it."""
    for factor, unit in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms")):
        if abs(seconds) * factor < 10_000:
            return f"{seconds * factor:,.0f} {unit}" if unit == "ns" else f"{seconds * factor:,.1f} {unit}"
    return f"{seconds:,.2f} s"


def rounded(figure: float) -> str:
    """Write a figure of the table."""
    return f"{figure:.2f}" if abs(figure) < 10 else f"{figure:.1f}"


def report(work: Work, rounds: int) -> None:
    """Measure one work and print its rows."""
    rows = [row for row in work.rows if work.can_tell(row)]
    times = measure(work, rounds) if rows else []
    for row in work.rows:
        print(line(row, times) if row in rows else f"{row.work:<46} skipped: {work.missing}", flush=True)


def main(works: Mapping[str, Callable[[bool], Work]], about: str) -> None:
    """Measure what was asked for on the command line."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--rounds", type=int, help="rounds per work (default: 31; 7 with --quick)")
    parser.add_argument("--only", action="append", choices=list(works), metavar="NAME", help=", ".join(works))
    parser.add_argument("--quick", action="store_true", help="few rounds and epochs: rough, within a minute")
    given = parser.parse_args()
    rounds = max(given.rounds or (7 if given.quick else 31), 2)
    print(f"Python {platform.python_version()}, {platform.machine()}; medians of {rounds} rounds, CPU time per unit\n")
    print(LINE.format("work", "ours", "other", "", "ratio", "middle half", "mark", "met"))
    for name in given.only or works:
        report(works[name](given.quick), rounds)
