"""Columns of numbers as compressed text for a page."""

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
"""JavaScript distinguishes all integers up to this one. Larger ones are clamped."""


class PackedColumns(NamedTuple):
    """Columns as one text.

    Attributes:
        shapes: for each column, the number of values and the number of bytes of a difference; 0 bytes for a column of
            64-bit floating-point numbers, which are stored as they are.
        text: the bytes of all columns, compressed by raw deflate, in base 64. A column is stored as the differences of
            its numbers: first the lowest bytes of all differences, then the next higher ones. The highest has the sign.
    """

    shapes: list[tuple[int, int]]
    text: str


def pack_columns(columns: Iterable[array[int] | array[float]]) -> PackedColumns:
    """Return `columns` as text."""
    shapes, compressor, parts = [], zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS), []
    for column in columns:
        width, numbers = (0, column) if column.typecode == "d" else _differences(column)  # type: ignore[arg-type]
        shapes.append((len(numbers), width))
        parts += [compressor.compress(plane) for plane in _byte_planes(numbers, width or 8)]
    return PackedColumns(shapes, base64.b64encode(b"".join([*parts, compressor.flush()])).decode())


def _differences(column: array[int]) -> tuple[int, array[int]]:
    """Return the differences between the numbers of a column, from 0 on, and how many bytes they need."""
    if column and not -LARGEST <= min(column) <= max(column) <= LARGEST:
        column = array("q", (min(max(number, -LARGEST), LARGEST) for number in column))
    differences = array("q", map(sub, column, chain((0,), column)))
    most = max(max(differences), -min(differences)) if differences else 0
    return most.bit_length() // 8 + 1, differences


def _byte_planes(numbers: array[int] | array[float], width: int) -> Iterator[bytes]:
    """Yield the lowest bytes of all numbers, then the next higher ones."""
    content = numbers.tobytes()
    order = range(width) if sys.byteorder == "little" else range(7, 7 - width, -1)
    return (content[byte::8] for byte in order)
