"""A track as columns of numbers: reading a million moves takes a fraction of a second, without an object for each."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from itertools import accumulate, compress, pairwise
from operator import neg, sub
from typing import NamedTuple

from fsm_engine.timeline.ring import Ring
from fsm_engine.timeline.track import MoveKind, Track


class MoveColumns(NamedTuple):
    """The moves of a track, oldest first.

    Attributes:
        times: in nanoseconds of the monotonic clock.
        kinds: indices into ``track.kinds``.
        epochs: ``state.epoch`` at that time.
        iterations: ``state.iteration`` at that time.
    """

    times: array[int]
    kinds: array[int]
    epochs: array[int]
    iterations: array[int]


class SpanColumns(NamedTuple):
    """Handler calls in the order in which they began, an outer call before the calls inside it.

    Attributes:
        starts: in nanoseconds of the monotonic clock.
        ends: likewise.
        handlers: indices into ``track.handlers``.
        raised: 1 for a call that raised an exception.
    """

    starts: array[int]
    ends: array[int]
    handlers: array[int]
    raised: array[int]


class VisitColumns(NamedTuple):
    """The visits of a track, in order; see `timeline.visits`.

    Attributes:
        entered: the index of the move that began the visit; the next move ended it.
        in_handlers: the time of the handlers in the visit, in nanoseconds.
        first_call: the index in `outermost` of the first call in the visit, or where that call would be.
        end_call: the index after the last call in the visit.
    """

    entered: list[int]
    in_handlers: list[int]
    first_call: list[int]
    end_call: list[int]


def move_columns(track: Track) -> MoveColumns:
    """Return the moves of `track`."""
    long, short = _words(track.move_ring)
    return MoveColumns(long[0::3], short[2::6], short[3::6], long[2::3])


def span_columns(track: Track) -> SpanColumns:
    """Return the handler calls of `track`."""
    long, short = _words(track.span_ring)
    spans = SpanColumns(long[0::3], long[1::3], short[4::6], short[5::6])
    keys = list(zip(spans.starts, map(neg, spans.ends)))
    return _select(spans, sorted(range(len(keys)), key=keys.__getitem__))


def counter_columns(counter: Ring) -> tuple[array[int], array[float]]:
    """Return the times and the values of a counter."""
    content = counter.to_bytes()
    times, values = array("q", content), array("d", content)
    _to_native_order(times, values)
    return times[0::2], values[1::2]


def outermost(spans: SpanColumns) -> SpanColumns:
    """Return the calls that are not inside another call."""
    kept, last_end = [], None
    for index, (start, end) in enumerate(zip(spans.starts, spans.ends)):
        if last_end is None or start >= last_end:
            kept.append(index)
            last_end = end
    return _select(spans, kept)


def visit_columns(moves: MoveColumns, kinds: list[MoveKind], spans: SpanColumns) -> VisitColumns:
    """Return the visits between `moves`, with the calls of `spans`, which are outermost, that began in each visit."""
    starts_visit = [kind.starts_visit for kind in kinds]
    starts_run = [kind.trigger == "run" for kind in kinds]
    is_visit = (starts_visit[entered] and not starts_run[left] for entered, left in pairwise(moves.kinds))
    entered = list(compress(range(len(moves.times) - 1), is_visit))
    if not spans.starts:
        zeros = [0] * len(entered)
        return VisitColumns(entered, zeros, zeros, zeros)
    first = [bisect_left(spans.starts, moves.times[index]) for index in entered]
    end = [bisect_left(spans.starts, moves.times[index + 1]) for index in entered]
    sums = [0, *accumulate(map(sub, spans.ends, spans.starts))]
    return VisitColumns(entered, [sums[after] - sums[before] for before, after in zip(first, end)], first, end)


def _select(spans: SpanColumns, indices: list[int]) -> SpanColumns:
    return SpanColumns(*(array(column.typecode, map(column.__getitem__, indices)) for column in spans))


def _words(ring: Ring) -> tuple[array[int], array[int]]:
    """Return the records of a ring as words of 64 bits and as words of 32 bits."""
    content = ring.to_bytes()
    long, short = array("q", content), array("i", content)
    _to_native_order(long, short)
    return long, short


def _to_native_order(*columns: array[int] | array[float]) -> None:
    if sys.byteorder == "big":  # records are little-endian
        for column in columns:
            column.byteswap()
