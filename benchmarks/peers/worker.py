"""Measures one peer in this process: ``python -m peers.worker PEER TURNS``, in the folder above. Prints a line of JSON.

The bare loop, the peer and the bare loop once more take turns, in an order that changes with each turn. A turn is a
whole run with new objects. Its first epoch warms up; the others are timed from the last batch of one to the last batch
of another. All times are CPU times.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import resource
import statistics
import sys
import time
import warnings
from types import ModuleType
from typing import Any

from peers import bare
from peers.jobs import JOBS, Job, Run, make_job

BARE, PEER, CONTROL = "bare", "peer", "control"
TOLERANCE = 1e-4
ATTEMPTS = 3
TOLERATED = 0.01
"""A measurement counts if the second bare loop took as long as the first, within this share of it."""


def report(name: str, turns: int) -> dict[str, Any]:
    """Return the figures of the peer called `name`.

    Returns:
        `import_s`: the seconds that its import takes after torch and scikit-learn; `memory_mib`: the growth of the peak
        of the resident memory, in MiB, by importing it and training on digits, after the bare loop has done so; `jobs`:
        the result of `steady` for each job.
    """
    digits = make_job("digits")
    finish(digits.call(bare), digits)
    before = peak_memory()
    start = time.process_time()
    peer = importlib.import_module(f"peers.{name}")
    imported = time.process_time() - start
    finish(digits.call(peer), digits)
    memory = peak_memory() - before
    jobs = {job: steady(peer, make_job(job), turns) for job in JOBS}
    return {"import_s": imported, "memory_mib": memory, "jobs": jobs}


def steady(peer: ModuleType, job: Job, turns: int) -> dict[str, float]:
    """Measure a peer on a job until the second bare loop takes as long as the first, or `ATTEMPTS` times.

    Returns the summary of the attempt in which the two bare loops are closest.
    """
    attempts: list[dict[str, float]] = []
    while len(attempts) < ATTEMPTS and not any(attempt["counts"] for attempt in attempts):
        attempts.append(summary(measure(peer, job, turns)))
    return min(attempts, key=lambda attempt: abs(attempt["control"] - 1))


def summary(measured: dict[str, list[float]]) -> dict[str, float]:
    """Return the median of each figure of a measurement, and the middle half of the ratios as `low` and `high`.

    `counts` is True if the two bare loops took as long as each other.
    """
    low, _, high = statistics.quantiles(measured["ratio"], n=4)
    medians = {name: statistics.median(figures) for name, figures in measured.items()}
    return medians | {"low": low, "high": high, "counts": abs(medians["control"] - 1) <= TOLERATED}


def measure(peer: ModuleType, job: Job, turns: int) -> dict[str, list[float]]:
    """Measure `peer` and two bare loops in turns.

    Returns:
        Figures of each turn. `ratio` and `control`: the time of the peer and of the second bare loop, divided by the
        time of the first; `added_us`: the microseconds per iteration that the peer takes more; `once_ms`: the time that
        the run of the peer takes beside its epochs.

    Raises:
        AssertionError: the losses after training differ from those of the bare loop by more than `TOLERANCE`.
    """
    check(peer, job)
    contestants = {BARE: bare, PEER: peer, CONTROL: bare}
    figures: dict[str, list[float]] = {"ratio": [], "control": [], "added_us": [], "once_ms": []}
    gc.freeze()  # makes the collection before each run faster
    for turn in range(turns):
        order = list(contestants) if turn % 2 == 0 else list(reversed(contestants))
        times = {name: timed(job.call(contestants[name]), job) for name in order}
        base, mine = times[BARE][1], times[PEER][1]
        figures["ratio"].append(mine / base)
        figures["control"].append(times[CONTROL][1] / base)
        figures["added_us"].append((mine - base) / (len(job.batches) * job.epochs) * 1e6)
        figures["once_ms"].append(times[PEER][0] * 1e3)
    gc.unfreeze()
    return figures


def check(peer: ModuleType, job: Job) -> None:
    """Train with the bare loop and with `peer`, and compare the losses of all batches afterwards."""
    base, other = finish(job.call(bare), job), finish(job.call(peer), job)
    if base.model is None or other.model is None:
        return
    expected, found = job.losses(base.model), job.losses(other.model)
    differs = max(abs(one - two) / one for one, two in zip(expected, found, strict=True))
    if not differs <= TOLERANCE:
        raise AssertionError(f"after training, the losses differ from those of the bare loop by {differs:.2%}")


def finish(run: Run, job: Job) -> Run:
    """Do `run` and check the number of its epochs."""
    run.train()
    if len(run.data.ended) != job.epochs + 1:
        raise AssertionError(f"{job.epochs + 1} epochs fetched the last batch {len(run.data.ended)} times")
    return run


def timed(run: Run, job: Job) -> tuple[float, float]:
    """Return the seconds that `run` takes beside its epochs, and the seconds of the timed epochs."""
    gc.collect()
    start = time.process_time()
    ended = finish(run, job).data.ended
    whole, epochs = time.process_time() - start, ended[-1] - ended[0]
    return whole - epochs * (1 + 1 / job.epochs), epochs


def peak_memory() -> float:
    """Return the peak of the resident memory of this process in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    print(json.dumps(report(sys.argv[1], int(sys.argv[2]))))
