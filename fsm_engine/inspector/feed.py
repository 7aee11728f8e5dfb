"""Messages about the progress of an inspected engine, made from its track and its state."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from numbers import Real
from operator import sub
from time import perf_counter, perf_counter_ns
from typing import Any

from fsm_engine._util.plain_data import is_tensor
from fsm_engine.inspector.control import Control
from fsm_engine.inspector.inspected import InspectedEngine
from fsm_engine.inspector.look import finite, finite_or_none
from fsm_engine.inspector.ring_reader import MOST, Records, RingReader
from fsm_engine.inspector.value_history import Point, ValueHistory
from fsm_engine.runtime.pauses import paused_seconds

MOST_MOVES, MOST_SPANS, MOST_VALUES, MOST_POINTS = 500, 500, 40, 100
"""The most moves, handler calls, curves, and points of a curve in one update."""

_DEEPEST = 5
"""The deepest level of nested dicts and lists of which numbers are read."""

MOST_HISTORY = 3000
"""The most moves, and handler calls, for a page that has just connected."""


class Feed:
    """Makes the updates about one engine. It runs in the thread of the server and calls no code of the user.

    All moves and calls are counted. Only the newest ones of an update are sent.
    """

    def __init__(self, inspected: InspectedEngine, control: Control, origin: int) -> None:
        track = inspected.recorder.track
        self._inspected, self._control, self._origin, self._track = inspected, control, origin, track
        self._moves, self._spans = RingReader(track.move_ring), RingReader(track.span_ring)
        self._taken: Counter[int] = Counter()
        self._calls: dict[int, list[int]] = {}
        self._left_out = {
            "moves": 0,
            "spans": 0,
            "uncounted": 0,
        }  # uncounted moves were overwritten before they were read
        self._last_values: dict[str, tuple[Any, Any]] = {}
        self._pauses: list[list[int | None]] = []
        self._counters: dict[str, RingReader] = {}
        self._history: dict[str, ValueHistory] = {}

    def update(self) -> dict[str, Any] | None:
        """Return the news, as an update has it; None if the engine no longer exists."""
        engine = self._inspected.engine
        moves, spans = self._read_moves(), self._read_spans()
        if engine is None:
            return None
        return {**self._present(engine), "moves": moves, "spans": spans, "values": self._read_values(engine)}

    def catch_up(self) -> None:
        """Count all news and keep the values, while no page is connected; `history` has them for a later page."""
        for _ in range(self._track.move_ring.capacity // MOST + 1):  # the run may write faster than this reads
            if not (self._moves.is_behind or self._spans.is_behind):
                break
            self._count_moves()
            self._count_spans()
        if (engine := self._inspected.engine) is not None:
            self._read_values(engine)

    def history(self) -> dict[str, Any] | None:
        """Return the content of the last updates, for a page that connects; None if the engine no longer exists."""
        engine = self._inspected.engine
        if engine is None:
            return None
        moves, spans = self._moves.read_again(MOST_HISTORY), self._spans.read_again(MOST_HISTORY)
        return {
            **self._present(engine),
            "moves": self._move_rows(moves, bool(moves.missed)),
            "spans": self._span_rows(spans),
            "values": {name: history.points for name, history in self._history.items()},
        }

    def _present(self, engine: Any) -> dict[str, Any]:
        """Return the part of an update that is about the present, and the counts."""
        inspected, state, kinds = self._inspected, engine.state, self._track.kinds
        last = self._track.last_move
        visits: Counter[str] = Counter()
        for number, count in self._taken.items():
            if kinds[number].is_transition:
                visits[kinds[number].target] += count
        pause = self._control.pause
        limits = ("epoch", "max_epochs", "iteration", "max_iters", "epoch_length")
        counters = dict.fromkeys([*limits, *inspected.counters(engine.lifecycle.graph)])
        return {
            "id": inspected.id,
            "status": self._status(engine.is_running),
            "phase": None if last is None else last.kind.target,
            "since": None if last is None else last.time - self._origin,
            "state": {name: finite_or_none(getattr(state, name, None)) for name in counters},
            "progress": self._progress(engine),
            "visits": visits,
            "taken": [self._taken[number] for number in range(len(kinds))],
            "calls": [self._calls.get(number, [0, 0, 0]) for number in range(len(self._track.handlers))],
            "leftOut": dict(self._left_out),
            "pauses": [
                *self._pauses,
                *([[pause.start - self._origin, None]] if pause is not None and pause.inspected is inspected else []),
            ],
        }

    def _status(self, is_running: bool) -> str:
        pause = self._control.pause
        if pause is not None and is_running:
            return "paused"
        if is_running:
            return "running"
        return {"interrupted": "suspended", "": "idle"}.get(self._inspected.outcome, self._inspected.outcome)

    def _read_moves(self) -> list[Any]:
        """Count the new moves and return the newest; None stands for moves before them that are left out."""
        records, skipped = self._count_moves()
        return self._move_rows(records, bool(records.missed or skipped), skipped)

    def _count_moves(self) -> tuple[Records, int]:
        """Return the new moves, and how many of them an update leaves out."""
        records = self._moves.read()
        _, short = records.words
        kinds = short[2::6]
        self._taken.update(kinds)
        skipped = max(len(kinds) - MOST_MOVES, 0)
        self._left_out["moves"] += records.missed + skipped
        self._left_out["uncounted"] += records.missed
        return records, skipped

    def _move_rows(self, records: Records, is_cut: bool, skipped: int = 0) -> list[Any]:
        """Return the moves, with None before them if moves are missing there."""
        long, short = records.words
        times, kinds, epochs, iterations = (c[skipped:] for c in (long[0::3], short[2::6], short[3::6], long[2::3]))
        rows: list[Any] = list(zip(self._relative(times), kinds, epochs, iterations))
        return [None, *rows] if is_cut else rows

    def _relative(self, times: Iterable[int]) -> list[int]:
        origin = self._origin
        return [time - origin for time in times]

    def _read_spans(self) -> list[tuple[int, ...]]:
        return self._span_rows(*self._count_spans())

    def _count_spans(self) -> tuple[Records, int]:
        """Return the new calls of handlers, and how many of them an update leaves out."""
        records = self._spans.read()
        long, short = records.words
        starts, ends, handlers, raised = long[0::3], long[1::3], short[4::6], short[5::6]
        for start, end, handler, failed in zip(starts, ends, handlers, raised):
            calls = self._calls.setdefault(handler, [0, 0, 0])
            calls[0] += 1
            calls[1] += end - start
            calls[2] += failed
            if not self._track.handlers[handler].event:
                self._pauses = [*self._pauses[-999:], [start - self._origin, end - self._origin]]
        skipped = max(len(starts) - MOST_SPANS, 0)
        self._left_out["spans"] += records.missed + skipped
        return records, skipped

    def _span_rows(self, records: Records, skipped: int = 0) -> list[tuple[int, ...]]:
        long, short = records.words
        starts, ends, handlers, failed = (c[skipped:] for c in (long[0::3], long[1::3], short[4::6], short[5::6]))
        return list(zip(self._relative(starts), map(sub, ends, starts), handlers, failed))

    def _progress(self, engine: Any) -> dict[str, Any]:
        state, clocks = engine.state, engine._clocks
        done, total = state.iteration, state.max_iters
        if total is None and state.max_epochs is not None and state.epoch_length is not None:
            total = state.max_epochs * state.epoch_length
        seconds = rate = remaining = None
        if engine.is_running:
            seconds = max(perf_counter() - paused_seconds(self._inspected.thread) - clocks.run, 0.0)
            made = done - self._inspected.first_iteration
            rate = made / seconds if seconds and made > 0 else None
        if rate and finite_or_none(total) is not None:
            remaining = max(total - done, 0) / rate
        return {
            "done": finite_or_none(done),
            "total": finite_or_none(total),
            "seconds": seconds,
            "remaining": remaining,
            "rate": rate,
        }

    def _read_values(self, engine: Any) -> dict[str, list[Point]]:
        """Return the new points of the curves, and keep them for pages that connect later."""
        new = self._values(engine)
        for name, points in new.items():
            self._history.setdefault(name, ValueHistory()).add(points)
        return new

    def _values(self, engine: Any) -> dict[str, list[Point]]:
        """Return a point for each number that has changed, or whose iteration has: output, metrics, learning rates.

        In a lifecycle without iterations, its first counter stands for them.
        """
        finest = next(iter(self._inspected.counters(engine.lifecycle.graph)), "iteration")
        count, now = getattr(engine.state, finest, 0), perf_counter_ns() - self._origin
        iteration = count if isinstance(count, int) else 0
        new: dict[str, list[Point]] = {}
        for name, value in _named_values(engine):
            point = iteration, value
            if self._last_values.get(name) != point and len(self._last_values) <= MOST_VALUES:
                self._last_values[name] = point
                new[name] = [(iteration, finite(value), now)]
        if self._inspected.parent is None:
            for name, counter in list(self._inspected.recorder.timeline.counters.items()):
                read = self._counters.setdefault(name, RingReader(counter)).read()
                rows = zip(array("q", read.content)[0::2], array("d", read.content)[1::2])
                points = [(iteration, finite(value), time - self._origin) for time, value in rows]
                if points:
                    new[name] = points[-MOST_POINTS:]
        return new


def _named_values(engine: Any) -> list[tuple[str, float]]:
    """Return the numbers of a run by name, without waiting for a device."""
    step = engine._process_function
    output, metrics = engine.state.output, engine.state.metrics
    found = list(_numbers("loss" if hasattr(step, "loss_fn") else "output", output))
    if isinstance(metrics, dict):
        found += [pair for name, value in list(metrics.items()) for pair in _numbers(f"metrics/{name}", value)]
    groups = getattr(getattr(step, "optimizer", None), "param_groups", ())
    many = len(groups) > 1
    rates = [(f"lr/{number}" if many else "lr", group.get("lr")) for number, group in enumerate(groups)]
    return found + [pair for name, value in rates for pair in _numbers(name, value)]


def _numbers(name: str, value: Any) -> list[tuple[str, float]]:
    """Return the numbers in a value: itself, or the items of a dict or a short tuple."""
    items: Iterable[tuple[Any, Any]] = ()
    if type(value) is dict:
        items = list(value.items())[:MOST_VALUES]
    elif type(value) in (tuple, list) and len(value) <= 4:
        items = enumerate(value)
    elif (number := _to_float(value)) is not None:
        return [(name, number)]
    if name.count("/") == _DEEPEST:
        return []
    return [pair for key, item in items if type(key) in (str, int) for pair in _numbers(f"{name}/{key}", item)]


def _to_float(value: Any) -> float | None:
    """Return a number or a tensor of one element on the CPU as a float; None for other values."""
    try:
        if isinstance(value, (int, float)) or (type(value).__module__ == "numpy" and isinstance(value, Real)):
            return float(value)
        if is_tensor(value) and value.numel() == 1 and value.device.type == "cpu":
            return float(value.detach())
    except (OverflowError, RuntimeError, TypeError, ValueError):  # 10**400, a complex tensor
        return None
    return None
