"""A ring buffer of records of one size, which keeps the newest records and counts the dropped ones."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any


class Ring:
    """Records in one block of memory. The operating system provides the memory as the block fills up.

    A recorder repeats the code of `add` where a call of it would slow the run down.

    Args:
        record: the format of a record.
        capacity: the number of records to keep.

    Attributes:
        block: the memory.
        at: the offset of the next record, in bytes.
        laps: how often the block was filled.
        forgotten: the number of records dropped before this ring was loaded from a file.
    """

    __slots__ = ("at", "block", "capacity", "forgotten", "laps", "record")

    def __init__(self, record: Struct, capacity: int) -> None:
        self.record, self.capacity = record, capacity
        self.block = bytearray(record.size * capacity)
        self.at = self.laps = self.forgotten = 0

    @property
    def dropped(self) -> int:
        """The number of records that were overwritten."""
        return self.count - len(self)

    @property
    def count(self) -> int:
        """The number of records added so far, the dropped ones included."""
        return self.forgotten + self.laps * self.capacity + self.at // self.record.size

    def add(self, *values: Any) -> None:
        """Add a record."""
        self.record.pack_into(self.block, self.at, *values)
        self.at += self.record.size
        if self.at == len(self.block):
            self.at, self.laps = 0, self.laps + 1

    def __len__(self) -> int:
        return self.capacity if self.laps else self.at // self.record.size

    def content(self) -> bytes:
        """Return the records that are kept as bytes, oldest first."""
        block = memoryview(self.block)
        return bytes(block[self.at :]) + bytes(block[: self.at]) if self.laps else bytes(block[: self.at])

    def fill(self, content: bytes) -> None:
        """Replace the records by those in `content`, which `content()` returned."""
        self.block[: len(content)] = content
        self.at = len(content) % len(self.block) if self.block else 0
        self.laps = int(bool(content) and self.at == 0)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self.record.iter_unpack(self.content())
