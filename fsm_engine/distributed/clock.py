"""`RankClock`: measures the clock of this process against the clock of rank 0, when a recording begins and ends."""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta
from time import perf_counter_ns

from torch.distributed.distributed_c10d import Store

from fsm_engine.distributed.event_log import LONGEST_WAIT, EventLog
from fsm_engine.distributed.world import hostname
from fsm_engine.timeline.rank import ClockReading, Rank

_logger = logging.getLogger(__name__)
_ROUNDS = 10
_TIMEOUT = timedelta(seconds=5)
_REQUESTS = "clock/requests"


class RankClock:
    """This process as one of several that record.

    A rank asks rank 0 for its time ten times. The offset is computed from the shortest round trip, at whose middle
    rank 0 is assumed to have read its clock; so the error is at most half of it. A thread of rank 0 answers one rank
    after the other. It sleeps until a rank asks, so a run without a recording has no traffic and waits for nothing.

    Args:
        store: the store that all ranks share. The thread gets a connection of its own.
        log: the log of the group, which ends the thread.
        rank: the number of this process.
        world_size: the number of processes.
    """

    def __init__(self, store: Store, log: EventLog, rank: int, world_size: int) -> None:
        self._store, self._rank, self._world_size = store, rank, world_size
        self._run = uuid.uuid4().hex
        self._is_answered = True
        if rank == 0:
            log.start_thread(self._answer, store.clone(), self._stop_answering)

    def describe(self) -> Rank:
        """Return the rank of this process, without a reading of its clock."""
        return Rank(self._rank, self._world_size, hostname())

    def read_clock(self, rank: Rank) -> None:
        """Add a reading to `rank`, and the identifier of the run.

        It takes a few milliseconds. If rank 0 does not answer in time, nothing is added, and the ranks are aligned by
        the wall clock.
        """
        if self._rank == 0:
            rank.run = self._run
            rank.readings.append(ClockReading(perf_counter_ns(), 0, 0))
        elif self._is_answered:
            try:
                request = self._store.add(_REQUESTS, 1)
                rounds = [self._ask(f"clock/{request}/{number}") for number in range(_ROUNDS)]
                rank.run = self._store.get("clock/run").decode()
                rank.readings.append(min(rounds, key=lambda reading: reading.error))
            except RuntimeError as error:
                self._is_answered = False
                _logger.warning("Rank 0 does not tell its time, so the recording has the wall clock only: %s", error)

    def _ask(self, key: str) -> ClockReading:
        before = perf_counter_ns()
        self._store.set(key, "")
        self._store.wait([f"{key}/answer"], _TIMEOUT)
        after = perf_counter_ns()
        middle = (before + after) // 2
        return ClockReading(middle, int(self._store.get(f"{key}/answer")) - middle, (after - before + 1) // 2)

    def _answer(self, store: Store) -> None:
        """Answer the requests of the other ranks, in the thread of rank 0."""
        store.set("clock/run", self._run)
        request = 0
        while True:
            request += 1
            key = f"clock/{request}"
            try:
                store.wait([f"{key}/0"], LONGEST_WAIT)
                if store.get(f"{key}/0"):
                    return
                for number in range(_ROUNDS):
                    store.wait([f"{key}/{number}"], _TIMEOUT)
                    store.set(f"{key}/{number}/answer", str(perf_counter_ns()))
            except RuntimeError as error:
                _logger.debug("A rank has not asked for the time, or the store ended: %s", error)
                if "imeout" not in str(error):
                    return

    def _stop_answering(self) -> None:
        self._store.set(f"clock/{self._store.add(_REQUESTS, 1)}/0", "stop")
