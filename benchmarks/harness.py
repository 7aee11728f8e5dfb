"""The harness of the benchmarks: measures contestants in turn in one process, and prints a table of ratios."""

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
    """A program that takes part in a benchmark.

    Attributes:
        name: the name by which `Cost` refers to it.
        ready: makes new objects, without being timed, and returns the call to time.
        units: the number of iterations or runs in that call.
    """

    name: str
    ready: Callable[[], Callable[[], object]]
    units: int = 1


@dataclass(frozen=True)
class Cost:
    """The time of a contestant per unit, or the difference to another contestant.

    Attributes:
        of: the name of the contestant.
        over: the name of the contestant whose time is subtracted, or None.
        per: the number of parts of a unit; the cost is divided by it.
    """

    of: str
    over: str | None = None
    per: int = 1

    @property
    def needs(self) -> set[str]:
        """Names of the contestants that the cost is computed from."""
        return {self.of} if self.over is None else {self.of, self.over}

    def __call__(self, times: Times) -> float:
        """Return the cost in seconds in one round."""
        return (times[self.of] - (0.0 if self.over is None else times[self.over])) / self.per


@dataclass(frozen=True)
class Target:
    """The target of a row.

    Attributes:
        figure: computes the figure of the row from our cost and the other cost, in seconds.
        limit: the highest figure that meets the target, or None for a row without a target.
        at_least: True if `limit` is the lowest figure instead.
        unit: the unit that is printed after `limit`.
    """

    figure: Callable[[float, float], float]
    limit: float | None
    at_least: bool = False
    unit: str = ""

    def __str__(self) -> str:
        return "" if self.limit is None else f"{'>=' if self.at_least else '<='} {self.limit:g}{self.unit}"

    def met(self, figure: float) -> str:
        """Return "yes" if `figure` meets the target, "NO" if not, and "" without a target."""
        if self.limit is None:
            return ""
        return "yes" if (figure >= self.limit if self.at_least else figure <= self.limit) else "NO"


@dataclass(frozen=True)
class Row:
    """A row of the table: two costs, and the target for the figure computed from them."""

    label: str
    ours: Cost
    other: Cost
    other_name: str
    target: Target


@dataclass(frozen=True)
class Benchmark:
    """Contestants, and the rows computed from their times.

    Attributes:
        clock: returns seconds; by default CPU time of the process.
        missing: why a row is skipped if one of its contestants is missing.
        turns: None to make the objects of each contestant anew in each round. A number lets the contestants keep their
            objects and take that many short turns instead of rounds, in a rotating order.
        control: two contestants that run the same code. A run counts only if the ratio of their times lies within
            `CONTROL_LIMITS`.
    """

    contestants: Sequence[Contestant]
    rows: Sequence[Row]
    clock: Callable[[], float] = time.process_time
    missing: str = "pytorch-ignite is not installed"
    turns: int | None = None
    control: tuple[str, str] | None = None

    def can_measure(self, row: Row) -> bool:
        """Return True if the benchmark has all contestants of `row`."""
        return row.ours.needs | row.other.needs <= {contestant.name for contestant in self.contestants}


def at_most(limit: float | None) -> Target:
    """Return a target for our cost of at most `limit` times the other cost; None prints the ratio without a target."""
    return Target(lambda ours, other: ours / other, limit)


def times_cheaper(limit: float) -> Target:
    """Return a target for an other cost of at least `limit` times our cost."""
    return Target(lambda ours, other: other / ours, limit, at_least=True)


def milliseconds(limit: float) -> Target:
    """Return a target for our cost of at most `limit` milliseconds."""
    return Target(lambda ours, _other: ours * 1e3, limit, unit=" ms")


CONTROL_LIMITS = 0.99, 1.01
ATTEMPTS = 5


def measure(benchmark: Benchmark, rounds: int) -> list[dict[str, float]]:
    """Measure all contestants in each round, and return their seconds per unit; the first round is a warm-up.

    A run that the control shows to be disturbed is repeated.
    """
    for _ in range(ATTEMPTS):
        times = _in_rounds(benchmark, rounds) if benchmark.turns is None else _in_turns(benchmark, benchmark.turns)
        if benchmark.control is None:
            return times
        ratio = control_ratio(benchmark.control, times)
        if CONTROL_LIMITS[0] <= ratio <= CONTROL_LIMITS[1]:
            print(f"# {len(times)} turns; {' / '.join(benchmark.control)}: {ratio:.4f}", flush=True)
            return times
        print(f"# {' / '.join(benchmark.control)}: {ratio:.4f}, so this run does not count", flush=True)
    return []


def control_ratio(control: tuple[str, str], times: Sequence[Times]) -> float:
    """Return the median ratio of two contestants that run the same code."""
    one, other = control
    return statistics.median(turn[one] / turn[other] for turn in times)


def _in_turns(benchmark: Benchmark, turns: int) -> list[dict[str, float]]:
    calls = [(one.name, one.ready(), one.units) for one in benchmark.contestants]
    for _, call, _ in calls:
        call()
    gc.collect()
    gc.freeze()
    times: list[dict[str, float]] = []
    for turn in range(turns):
        first = turn % len(calls)
        times.append({})
        for name, call, units in calls[first:] + calls[:first]:
            times[-1][name] = _timed(call, benchmark.clock, collects=turn % 10 == 0) / units
    gc.unfreeze()
    return times


def _in_rounds(benchmark: Benchmark, rounds: int) -> list[dict[str, float]]:
    gc.freeze()  # makes the collection before each measurement faster
    times = [
        {one.name: _timed(one.ready(), benchmark.clock) / one.units for one in benchmark.contestants}
        for _ in range(rounds + 1)
    ]
    gc.unfreeze()
    return times[1:]


def _timed(call: Callable[[], object], clock: Callable[[], float], collects: bool = True) -> float:
    if collects:
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
    """Format a row: medians over the rounds, and the middle half of the figures."""
    ours, other = [row.ours(times) for times in rounds], [row.other(times) for times in rounds]
    figures = [row.target.figure(our_cost, other_cost) for our_cost, other_cost in zip(ours, other)]
    low, middle, high = statistics.quantiles(figures, n=4)
    shown = [readable(statistics.median(seconds)) for seconds in (ours, other)]
    spread = f"{rounded(low)} .. {rounded(high)}"
    return LINE.format(
        row.label, *shown, row.other_name, rounded(middle), spread, str(row.target), row.target.met(middle)
    )


def readable(seconds: float) -> str:
    """Format a time with a suitable unit."""
    for factor, unit in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms")):
        if abs(seconds) * factor < 10_000:
            return f"{seconds * factor:,.0f} {unit}" if unit == "ns" else f"{seconds * factor:,.1f} {unit}"
    return f"{seconds:,.2f} s"


def rounded(figure: float) -> str:
    """Format a figure of the table."""
    return f"{figure:.3f}" if abs(figure) < 1.2 else f"{figure:.2f}" if abs(figure) < 10 else f"{figure:.1f}"


def report(benchmark: Benchmark, rounds: int) -> None:
    """Measure a benchmark and print its rows."""
    rows = [row for row in benchmark.rows if benchmark.can_measure(row)]
    times = measure(benchmark, rounds) if rows else []
    for row in benchmark.rows:
        reason = benchmark.missing if row not in rows else f"{ATTEMPTS} runs did not count"
        print(line(row, times) if row in rows and times else f"{row.label:<46} skipped: {reason}", flush=True)


def main(benchmarks: Mapping[str, Callable[[bool], Benchmark]], description: str) -> None:
    """Parse the command line, and run the benchmarks that it names; each is called with the value of ``--quick``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, help="rounds per benchmark (default: 31; 7 with --quick)")
    parser.add_argument("--only", action="append", choices=list(benchmarks), metavar="NAME", help=", ".join(benchmarks))
    parser.add_argument("--quick", action="store_true", help="few rounds and epochs: rough, within a minute")
    args = parser.parse_args()
    rounds = max(args.rounds or (7 if args.quick else 31), 2)
    print(f"Python {platform.python_version()}, {platform.machine()}; medians of {rounds} rounds, CPU time per unit\n")
    print(LINE.format("benchmark", "ours", "other", "", "ratio", "middle half", "target", "met"))
    for name in args.only or benchmarks:
        report(benchmarks[name](args.quick), rounds)
