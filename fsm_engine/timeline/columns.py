"""A track column by column: a million moves are read in a fraction of a second, without an object for each."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from itertools import accumulate, compress, pairwise
from operator import neg, sub
from typing import NamedTuple

from fsm_engine.timeline.ring import Ring
from fsm_engine.timeline.track import Kind, Track


class Moves(NamedTuple):
    """The moves of a track, in the order in which they were made.

    Attributes:
        times: when, in nanoseconds of the monotonic clock.
        kinds: the numbers of their kinds.
        epochs: ``state.epoch`` at that time.
        iterations: ``state.iteration`` at that time.
    """

    times: array[int]
    kinds: array[int]
    epochs: array[int]
    iterations: array[int]


class Spans(NamedTuple):
    """Calls of handlers.

    Attributes:
        starts: when they began, in nanoseconds of the monotonic clock.
        ends: when they ended.
        handlers: the numbers of the handlers.
        raised: 1 for those that ended with an exception.
    """

    starts: array[int]
    ends: array[int]
    handlers: array[int]
    raised: array[int]


class Stays(NamedTuple):
    """The visits of a track, in their order; see `timeline.visits`.

    Attributes:
        entered: the places of the moves that began them; the move behind each ended it.
        handled: how long handlers took in each, in nanoseconds.
        first: the place in `outermost` of the first call in each, or where it would be.
        stop: the place behind the last one.
    """

    entered: list[int]
    handled: list[int]
    first: list[int]
    stop: list[int]


def moves(track: Track) -> Moves:
    """Return the moves of a track."""
    long, short = _words(track.move_ring)
    return Moves(long[0::3], short[2::6], short[3::6], long[2::3])


def spans(track: Track) -> Spans:
    """Return the calls of handlers of a track, in the order in which they began, outer ones before inner ones."""
    long, short = _words(track.span_ring)
    found = Spans(long[0::3], long[1::3], short[4::6], short[5::6])
    order = sorted(range(len(found.starts)), key=list(zip(found.starts, map(neg, found.ends))).__getitem__)
    return Spans(*(array(column.typecode, map(column.__getitem__, order)) for column in found))


def values(ring: Ring) -> tuple[array[int], array[float]]:
    """Return the times and the values of a counter."""
    content = ring.content()
    times, numbers = array("q", content), array("d", content)
    _swap(times, numbers)
    return times[0::2], numbers[1::2]


def outermost(calls: Spans) -> Spans:
    """Return the calls that are not inside another one, in the order in which they began."""
    kept, end = array("q"), None
    for place, (start, finish) in enumerate(zip(calls.starts, calls.ends)):
        if end is None or start >= end:
            kept.append(place)
            end = finish
    return Spans(*(array(column.typecode, map(column.__getitem__, kept)) for column in calls))


def stays(made: Moves, kinds: list[Kind], outer: Spans) -> Stays:
    """Return the visits between moves, with the calls of `outer` that began in each."""
    lasts = [kind.is_last for kind in kinds]
    begins = [kind.trigger == "run" for kind in kinds]
    is_visit = (not lasts[entered] and not begins[left] for entered, left in pairwise(made.kinds))
    found = list(compress(range(len(made.times) - 1), is_visit))
    if not outer.starts:
        nothing = [0] * len(found)
        return Stays(found, nothing, nothing, nothing)
    first = [bisect_left(outer.starts, made.times[place]) for place in found]
    stop = [bisect_left(outer.starts, made.times[place + 1]) for place in found]
    sums = [0, *accumulate(map(sub, outer.ends, outer.starts))]
    return Stays(found, [sums[end] - sums[begin] for begin, end in zip(first, stop)], first, stop)


def _words(ring: Ring) -> tuple[array[int], array[int]]:
    """Return the records of a ring as words of 64 and of 32 bits."""
    content = ring.content()
    long, short = array("q", content), array("i", content)
    _swap(long, short)
    return long, short


def _swap(*columns: array[int] | array[float]) -> None:
    if sys.byteorder == "big":  # records are little-endian everywhere
        for column in columns:
            column.byteswap()
