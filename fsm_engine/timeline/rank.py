"""Ranks: which process of a distributed run recorded a track, and how its clock differs from the clock of rank 0.

`fsm_engine.distributed.session` calls `set_process`. A recorder then asks `recording_rank` for the rank of its tracks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class ClockReading(NamedTuple):
    """A measurement of the clock of a process against the clock of rank 0, in nanoseconds.

    Attributes:
        time: when it was made, on the monotonic clock of the process.
        offset: what to add to a time of the process for a time of rank 0.
        error: the greatest possible error of the offset: half of the round trip.
    """

    time: int
    offset: int
    error: int


@dataclass
class Rank:
    """A process of a distributed run.

    Attributes:
        number: its rank.
        world_size: the number of processes.
        host: the name of its machine.
        run: an identifier that the processes of a run share; empty if it is unknown.
        readings: the measurements of its clock, in order; empty if only the wall clock is known.
    """

    number: int
    world_size: int
    host: str = ""
    run: str = ""
    readings: list[ClockReading] = field(default_factory=list)

    def __str__(self) -> str:
        return f"rank {self.number}"


class RankProcess(Protocol):
    """This process, as one of several that train together."""

    def describe(self) -> Rank:
        """Return the rank of this process."""
        ...

    def read_clock(self, rank: Rank) -> None:
        """Add a reading to `rank` if rank 0 answers."""
        ...


_process: RankProcess | None = None


def set_process(process: RankProcess | None) -> None:
    """Set which rank this process is; None for a process alone."""
    global _process  # a process has one rank
    _process = process


def recording_rank() -> Rank | None:
    """Return the rank of this process, without a reading of its clock; None for a process alone."""
    return None if _process is None else _process.describe()


def read_clock(rank: Rank | None) -> None:
    """Add a reading of the clock to the rank of this process. Does nothing for None."""
    if rank is not None and _process is not None:
        _process.read_clock(rank)


def clock_shift(readings: list[ClockReading]) -> Callable[[int], int]:
    """Return a function from a time of a process to the time of rank 0.

    The reading with the smallest error counts, unless the first and the last reading differ by more than their errors.
    Then one clock was faster than the other, and the offset changes linearly between the readings. The function never
    changes the order of times.
    """
    first, last = readings[0], readings[-1]
    drift, elapsed = last.offset - first.offset, last.time - first.time
    if abs(drift) <= first.error + last.error or abs(drift) >= elapsed:
        offset = min(readings, key=lambda reading: reading.error).offset
        return lambda time: time + offset

    def shift(time: int) -> int:
        part = min(max(time - first.time, 0), elapsed)
        return time + first.offset + part * drift // elapsed

    return shift


def rank_labels(of_tracks: Iterable[Rank | None]) -> dict[int, str]:
    """Return the names of the ranks by number, in their order, with the host if there are several hosts.

    The dictionary is empty if there are fewer than two ranks.
    """
    ranks = {rank.number: rank for rank in of_tracks if rank is not None}
    hosts = {rank.host for rank in ranks.values()}
    labels = {n: f"{rank}, {rank.host}" if len(hosts) > 1 else str(rank) for n, rank in sorted(ranks.items())}
    return labels if len(labels) > 1 else {}
