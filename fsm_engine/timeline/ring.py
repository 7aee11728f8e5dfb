"""A ring buffer of records of one size, which keeps the newest records and counts the dropped ones."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from struct import Struct
from typing import Any, TypeVar

R = TypeVar("R", bound="Ring")


class Ring:
    """Records in one block of memory. The operating system provides the memory as the block fills up.

    A recorder repeats the code of `add` where a call of it would slow the run down.

    Args:
        record: the format of a record.
        capacity: the number of records to keep.

    Attributes:
        block: the memory.
        offset: where the next record goes, in bytes.
        laps: how often the block was filled.
        dropped_before: the number of records dropped before the ring was loaded from a file.
    """

    __slots__ = ("block", "capacity", "dropped_before", "laps", "offset", "record")

    def __init__(self, record: Struct, capacity: int) -> None:
        self.record, self.capacity = record, capacity
        self.block = bytearray(record.size * capacity)
        self.offset = self.laps = self.dropped_before = 0

    @property
    def dropped(self) -> int:
        """The number of records that were overwritten."""
        return self.count - len(self)

    @property
    def count(self) -> int:
        """The number of records added so far, the dropped ones included."""
        return self.dropped_before + self.laps * self.capacity + self.offset // self.record.size

    def add(self, *values: Any) -> None:
        """Add a record."""
        self.record.pack_into(self.block, self.offset, *values)
        self.offset += self.record.size
        if self.offset == len(self.block):
            self.offset, self.laps = 0, self.laps + 1

    def __len__(self) -> int:
        return self.capacity if self.laps else self.offset // self.record.size

    def release(self) -> None:
        """Release the memory that was not used. No record may be added after this."""
        if not self.laps:
            self.block = self.block[: self.offset]

    def to_bytes(self) -> bytes:
        """Return the kept records, oldest first."""
        block, offset = memoryview(self.block), self.offset
        return bytes(block[offset:]) + bytes(block[:offset]) if self.laps else bytes(block[:offset])

    def load_bytes(self, content: bytes) -> None:
        """Replace the records by those that `to_bytes` returned."""
        self.block[: len(content)] = content
        self.offset = len(content) % len(self.block)
        self.laps = int(bool(content) and self.offset == 0)

    def with_bytes(self: R, content: bytes) -> R:
        """Return a copy that is as large as its records, which `content` has instead of the records of this ring."""
        made = copy(self)
        made.block = bytearray(max(len(content), self.record.size))
        made.capacity = len(made.block) // self.record.size
        made.dropped_before = self.dropped
        made.load_bytes(content)
        return made

    def load_newest(self, other: Ring) -> None:
        """Replace the records by the newest records of `other`, as many as fit, and count the rest as dropped."""
        self.load_bytes(other.to_bytes()[-len(self.block) :])
        self.dropped_before = other.count - len(self)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self.record.iter_unpack(self.to_bytes())
