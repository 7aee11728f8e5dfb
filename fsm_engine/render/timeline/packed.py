"""Columns of numbers as text, small enough for a page: differences, byte by byte, compressed."""

from __future__ import annotations

import base64
import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator
from itertools import chain
from operator import sub
from typing import NamedTuple

LARGEST = 2**53
"""Up to here scripts tell all whole numbers apart; larger ones are cut off."""


class Packed(NamedTuple):
    """Columns as one text.

    Attributes:
        shapes: of each column: how many numbers it has, and of how many bytes its differences are; of 0 bytes if it is
            one of 64-bit floating point numbers, which are kept as they are.
        text: in base 64: what raw deflate makes of the bytes of all columns. First come the lowest bytes of all
            differences of a column, then the next higher ones; the highest has the sign.
    """

    shapes: list[tuple[int, int]]
    text: str


def packed(columns: Iterable[array[int] | array[float]]) -> Packed:
    """Return `columns` as text."""
    shapes, packing, parts = [], zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS), []
    for column in columns:
        width, numbers = (0, column) if column.typecode == "d" else _differences(column)  # type: ignore[arg-type]
        shapes.append((len(numbers), width))
        parts += [packing.compress(plane) for plane in _planes(numbers, width or 8)]
    return Packed(shapes, base64.b64encode(b"".join([*parts, packing.flush()])).decode())


def _differences(column: array[int]) -> tuple[int, array[int]]:
    """Return the differences between the numbers of a column, from 0 on, and how many bytes they need."""
    if column and not -LARGEST <= min(column) <= max(column) <= LARGEST:
        column = array("q", (min(max(number, -LARGEST), LARGEST) for number in column))
    found = array("q", map(sub, column, chain((0,), column)))
    most = max(max(found), -min(found)) if found else 0
    return most.bit_length() // 8 + 1, found


def _planes(numbers: array[int] | array[float], width: int) -> Iterator[bytes]:
    whole = numbers.tobytes()
    order = range(width) if sys.byteorder == "little" else range(7, 7 - width, -1)
    return (whole[place::8] for place in order)
