"""How costs grow with the number of phases, handlers and moves.

Run ``python benchmarks/growth.py``; README.md in this folder explains the table and the plot.
"""

from __future__ import annotations

import argparse
import gc
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from growth_operations import OPERATIONS, Operation

SIZES = {
    "phases": (10, 30, 100, 300, 1000, 2000, 5000),
    "handlers": (10, 30, 100, 300, 1000, 3000, 10_000),
    "moves": (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000),
}
NEARLY_LINEAR = 1.3
"""The largest exponent that n log n, with the noise of a measurement, is fitted to."""


@dataclass(frozen=True)
class Growth:
    """The measured times of an operation, in seconds of CPU time by size."""

    operation: Operation
    times: dict[int, float]

    @property
    def exponent(self) -> float:
        """The slope of log(time) over log(size), by least squares over the upper half of the sizes."""
        points = [(math.log(size), math.log(max(seconds, 1e-9))) for size, seconds in self.times.items()]
        upper = points[-max(3, (len(points) + 1) // 2) :]
        return statistics.linear_regression(*zip(*upper)).slope if len(upper) > 1 else math.nan

    @property
    def verdict(self) -> str:
        """Return "yes" if the growth is at most n log n, "reason" if the docstring has a reason, "NO" otherwise."""
        if self.exponent <= NEARLY_LINEAR:
            return "yes"
        return "reason" if self.operation.bound > 1 else "NO"


def measure(operation: Operation, sizes: Sequence[int], budget: float, enough: float) -> Growth:
    """Measure three sizes of `operation`, and more until the next one would take longer than `budget` seconds."""
    times: dict[int, float] = {}
    for size in sizes:
        if len(times) >= 3:
            last, seconds = list(times.items())[-1]
            if seconds * (size / last) ** (1 if operation.bound == 1 else 2) > budget:
                break
        times[size] = least_time(operation, size, enough)
    return Growth(operation, times)


def least_time(operation: Operation, size: int, enough: float) -> float:
    """Return the least CPU time of up to five calls; no call follows once they have taken `enough` seconds."""
    call = operation.prepare(size)
    best, spent = math.inf, 0.0
    for _ in range(5):
        gc.collect()
        gc.disable()
        start = time.process_time()
        call()
        seconds = time.process_time() - start
        gc.enable()
        best, spent = min(best, seconds), spent + seconds
        if spent > enough:
            break
    return best


def print_row(*cells: str) -> None:
    """Print a row of the table."""
    widths = (8, 45, 8, 20, 20, 0)
    print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip(), flush=True)


def print_growth(growth: Growth) -> None:
    """Print the exponent, and the time at the smallest and the largest size."""
    (small, fast), *_, (large, slow) = growth.times.items()
    ends = (f"{small:,}: {in_words(fast)}", f"{large:,}: {in_words(slow)}")
    print_row(growth.operation.unit, growth.operation.name, f"{growth.exponent:.2f}", *ends, growth.verdict)


def in_words(seconds: float) -> str:
    """Return a time with a unit, such as ``1.5 ms``."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def main() -> None:
    """Measure the selected operations, print the table, and plot the exponents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer calls: one or two minutes")
    parser.add_argument("--only", action="append", metavar="TEXT", help="operations and units that contain TEXT")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the exponents (needs matplotlib)")
    arguments = parser.parse_args()
    sizes = {unit: own[:4] if arguments.quick else own for unit, own in SIZES.items()}
    limits = (0.2, 0.05) if arguments.quick else (20.0, 0.5)
    chosen = [
        operation
        for operation in OPERATIONS
        if not arguments.only or any(text in f"{operation.unit}: {operation.name}" for text in arguments.only)
    ]
    print_row("per", "operation", "exponent", "from", "to", "n log n")
    results = []
    for operation in chosen:
        results.append(measure(operation, sizes[operation.unit], *limits))
        print_growth(results[-1])
    if arguments.plot:
        from growth_plot import plot

        plot(results, arguments.plot)


if __name__ == "__main__":
    main()
