"""The cost of agreements between ranks: from a request to the stop of all, and many ranks on one store.

Run ``python benchmarks/distributed_agreement.py``; README.md in this folder explains the tables. The processes that it
measures compete for the cores of this machine, so the figures are upper bounds.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as c10d
from torch.distributed import PrefixStore, TCPStore

from fsm_engine import Engine, Events
from fsm_engine.distributed import launch, session
from fsm_engine.distributed.agreement import Agreement
from fsm_engine.distributed.event_log import EventLog
from fsm_engine.distributed.failures import Failures
from fsm_engine.distributed.stalls import Heartbeat

os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:1")
"""The store looks up the name of each process that connects, which takes five seconds if no name server answers."""

RANKS_PER_PROCESS = 8
MANY = (2, 8, 32, 100, 200)
STALL_AFTER, IDLE = 2.0, 8.0
"""Seconds without a move, and seconds in which nothing happens."""
STOP_WITHIN, MANY_WITHIN, WRITES = 0.1, 2.0, 1.0
"""The marks: seconds, seconds, and writes per second."""


# From a request on one rank to the stop of all


def stop_latencies(ranks: int = 4, trials: int = 20) -> list[float]:
    """Return, per trial, the seconds from `terminate` on one rank until all ranks have entered TERMINATE."""
    results: list[list[tuple[float | None, float]]] = launch(_stop_once_each, ranks, trials)
    latencies = []
    for stops in zip(*results):
        (asked,) = [asked for asked, _ in stops if asked is not None]
        latencies.append(max(stopped for _, stopped in stops) - asked)
    return latencies


def _stop_once_each(trials: int) -> list[tuple[float | None, float]]:
    """Return, per trial, when this rank asked, if it did, and when it stopped."""
    with session() as ranks:
        trainer = Engine(lambda _engine, _batch: c10d.all_reduce(torch.ones(1)))
        ranks.attach(trainer)
        asked: list[float] = []
        stopped: list[float] = []

        def ask() -> None:
            if len(stopped) % ranks.world_size == ranks.rank:
                asked.append(time.monotonic())  # the clock of the machine, which all ranks share
                trainer.terminate()

        trainer.add_event_handler(Events.ITERATION_COMPLETED(once=50), ask)
        trainer.add_event_handler(Events.TERMINATE, lambda: stopped.append(time.monotonic()))
        results: list[tuple[float | None, float]] = []
        for _ in range(trials):
            asked.clear()
            trainer.run(range(100_000))
            results.append((asked[0] if asked else None, stopped[-1]))
        return results


# Many ranks: threads of a few processes, with a connection of their own to one store, and without a process group


class CountingStore:
    """A store that counts the writes of a rank."""

    def __init__(self, store: Any) -> None:
        self._store, self.writes, self._clones = store, 0, list[CountingStore]()

    def set(self, key: str, value: str) -> None:
        """Count a write."""
        self.writes += 1
        self._store.set(key, value)

    def add(self, key: str, amount: int) -> int:
        """Count a write."""
        self.writes += 1
        return int(self._store.add(key, amount))

    def clone(self) -> Any:
        """Return a store with a connection of its own, whose writes are counted here."""
        clone = CountingStore(self._store.clone())
        self._clones.append(clone)
        return clone

    def total(self) -> int:
        """Return the writes of this store and its clones."""
        return self.writes + sum(clone.total() for clone in self._clones)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class SimulatedRank:
    """A rank that runs a real engine with a real log, agreement and heartbeat, and reports to the store.

    Args:
        port: the port of the store.
        rank: the number of this rank.
        count: the number of ranks.
    """

    def __init__(self, port: int, rank: int, count: int) -> None:
        self.store = TCPStore("127.0.0.1", port, None, False, timedelta(seconds=120))
        self.rank, self.count = rank, count
        self._counted = CountingStore(PrefixStore("ranks", self.store))

    def run(self) -> None:
        """Wait for a request, then stall until the stall is reported."""
        log = EventLog(self._counted, self.rank, self.count)  # type: ignore[arg-type]
        engine = Engine(lambda _engine, _batch: time.sleep(0.02))
        failures = Failures(log)
        engine._agreement = Agreement(engine, "engine", log, failures, 60)
        log.start()
        engines: list[Engine] = [engine]
        heartbeat = Heartbeat(self._counted, self.rank, self.count, engines, STALL_AFTER)  # type: ignore[arg-type]
        self._meet("ready")
        before, begun = self._counted.total(), time.monotonic()
        idle: list[float] = []

        def ask() -> None:
            if not idle and time.monotonic() - begun > IDLE:
                idle.append((self._counted.total() - before) / (time.monotonic() - begun))
                if self.rank == self.count - 1:
                    self._report("asked", time.monotonic())
                    engine.terminate()

        engine.add_event_handler(Events.ITERATION_COMPLETED, ask)
        engine.add_event_handler(Events.TERMINATE, lambda: self._report("stopped", time.monotonic()))
        engine.run(range(100_000))
        self._report("writes", idle[0] if idle else 0.0)
        self._meet("stopped all")
        reports = Reports(heartbeat)
        stall = Engine(lambda _engine, _batch: reports.wait())
        engines.append(stall)
        begun = time.monotonic()
        stall.run(range(1))
        self._report("reported", reports.at - begun - STALL_AFTER)
        self._meet("reported all")
        heartbeat.stop()
        log.close(60)

    def _report(self, what: str, value: float) -> None:
        self.store.set(f"{what}/{self.rank}", json.dumps(value))

    def _meet(self, where: str) -> None:
        """Wait for all ranks."""
        if self.store.add(where, 1) == self.count:
            self.store.set(f"{where}/all", "")
        self.store.wait([f"{where}/all"])


class Reports(logging.Handler):
    """Waits for the report of a stall that the thread of a heartbeat logs."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        super().__init__()
        self._threads = {thread.ident for thread in heartbeat._threads}
        self._written, self.at = threading.Event(), 0.0
        logging.getLogger("fsm_engine.distributed.stalls").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Note the time of the first report."""
        if record.thread in self._threads and not self._written.is_set():
            self.at = time.monotonic()
            self._written.set()

    def wait(self) -> None:
        """Wait for the report."""
        self._written.wait(60)


def many_ranks(count: int) -> dict[str, float]:
    """Return the seconds of an agreement and of a stall report of `count` ranks, and the writes per rank and second."""
    store = TCPStore("127.0.0.1", 0, None, True, timedelta(seconds=120), wait_for_workers=False)
    context = multiprocessing.get_context("fork")
    shares = [range(first, min(first + RANKS_PER_PROCESS, count)) for first in range(0, count, RANKS_PER_PROCESS)]
    processes = [context.Process(target=_run_ranks, args=(store.port, share, count)) for share in shares]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    def values(what: str) -> list[float]:
        return [json.loads(store.get(f"{what}/{rank}")) for rank in range(count)]

    asked = json.loads(store.get(f"asked/{count - 1}"))
    return {
        "agreement": max(values("stopped")) - asked,
        "stall report": max(values("reported")),
        "writes": statistics.mean(values("writes")),
    }


def _run_ranks(port: int, ranks: Sequence[int], count: int) -> None:
    logging.getLogger().addHandler(logging.NullHandler())
    threads = [threading.Thread(target=SimulatedRank(port, rank, count).run) for rank in ranks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, and return 1 if a figure misses its mark."""
    parser = argparse.ArgumentParser(description="The cost of agreements between ranks.")
    parser.add_argument("--quick", action="store_true", help="measure fewer trials and at most 32 ranks")
    quick = parser.parse_args(arguments).quick
    latencies = stop_latencies(trials=5 if quick else 20)
    median = statistics.median(latencies)
    print(f"stop of 4 ranks: median {1e3 * median:.0f} ms, longest {1e3 * max(latencies):.0f} ms (mark: 100 ms)")
    print("\n| ranks | agreement, s | stall report, s | writes per rank and s |\n| --- | --- | --- | --- |")
    missed = median > STOP_WITHIN
    for count in MANY[:3] if quick else MANY:
        figures = many_ranks(count)
        agreement, report, writes = figures["agreement"], figures["stall report"], figures["writes"]
        print(f"| {count} | {agreement:.2f} | {report:.2f} | {writes:.2f} |", flush=True)
        missed |= agreement > MANY_WITHIN or report > MANY_WITHIN or writes > 1.1 * WRITES
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
