"""Reads a ring in one thread while a run in another thread writes to it."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from fsm_engine.timeline.ring import Ring

MOST = 20_000
"""The most records of one read. Reading and counting them takes about 2 ms."""


class Records(NamedTuple):
    """New records of a ring.

    Attributes:
        content: their bytes, oldest first.
        missed: how many were overwritten before they could be read.
    """

    content: bytes
    missed: int

    @property
    def words(self) -> tuple[array[int], array[int]]:
        """The records as words of 64 bits and as words of 32 bits."""
        return array("q", self.content), array("i", self.content)


class RingReader:
    """Reads each record of `ring` once, unless the run overwrites it first."""

    def __init__(self, ring: Ring) -> None:
        self._ring, self._seen = ring, 0

    @property
    def is_behind(self) -> bool:
        """True if there are records that were not read."""
        return self._count() > self._seen

    def read(self) -> Records:
        """Return at most `MOST` new records."""
        ring, seen = self._ring, self._seen
        count = max(self._count(), seen)
        reserve = max(ring.capacity // 10, 1)  # the run writes while this thread reads
        first = max(seen, count - ring.capacity + reserve)
        last = min(count, first + MOST)
        self._seen = last
        return Records(self._content(first, last), first - seen)

    def read_again(self, most: int) -> Records:
        """Return the last records that were read, at most `most`, unless the run has overwritten them."""
        ring, seen = self._ring, self._seen
        kept = max(self._count() - ring.capacity + max(ring.capacity // 10, 1), 0)
        first = min(max(seen - most, kept), seen)
        return Records(self._content(first, seen), first)

    def _content(self, first: int, last: int) -> bytes:
        """Return the bytes of the records with these numbers."""
        ring = self._ring
        size, start, end = ring.record.size, first % ring.capacity, first % ring.capacity + last - first
        content = bytes(ring.block[start * size : min(end, ring.capacity) * size])
        if end > ring.capacity:
            content += bytes(ring.block[: (end - ring.capacity) * size])
        return content

    def _count(self) -> int:
        """Return the number of records written, or a smaller number while the run begins a new lap."""
        ring = self._ring
        while True:
            laps, offset = ring.laps, ring.offset
            if ring.laps == laps:
                return laps * ring.capacity + offset // ring.record.size
