"""A ring of records of one size: the newest are kept, and those that had to go are counted."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any


class Ring:
    """Records in one block of memory that is taken up as it fills, and never grows beyond its size.

    Attributes:
        record: what a record is made of.
        room: how many records are kept.
        block: the memory.
        at: where the next one goes, in bytes.
        laps: how often the block was full.
        forgotten: how many had to go before it was loaded from a file.
    """

    __slots__ = ("at", "block", "forgotten", "laps", "record", "room")

    def __init__(self, record: Struct, room: int) -> None:
        self.record, self.room = record, room
        self.block = bytearray(record.size * room)
        self.at = self.laps = self.forgotten = 0

    @property
    def dropped(self) -> int:
        """How many records had to go."""
        return self.count - len(self)

    @property
    def count(self) -> int:
        """How many records were put in so far, those that had to go included."""
        return self.forgotten + self.laps * self.room + self.at // self.record.size

    def add(self, *values: Any) -> None:
        """Put in a record. Where a run would feel the call, as in a recorder, this is written out instead."""
        self.record.pack_into(self.block, self.at, *values)
        self.at += self.record.size
        if self.at == len(self.block):
            self.at, self.laps = 0, self.laps + 1

    def __len__(self) -> int:
        return self.room if self.laps else self.at // self.record.size

    def content(self) -> bytes:
        """Return the records that are kept, the oldest first."""
        block = memoryview(self.block)
        return bytes(block[self.at :]) + bytes(block[: self.at]) if self.laps else bytes(block[: self.at])

    def fill(self, content: bytes) -> None:
        """Put in what `content` returned."""
        self.block[: len(content)] = content
        self.at = len(content) % len(self.block) if self.block else 0
        self.laps = int(bool(content) and self.at == 0)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self.record.iter_unpack(self.content())
