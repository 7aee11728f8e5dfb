"""`HandlersTimeProfiler`: the time that each handler takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from typing import Any

from fsm_engine.dispatch.entries import HandlerEntry
from fsm_engine.engine.explain import name_of_handler
from fsm_engine.events.events import Events
from fsm_engine.handlers.profilers.durations import Durations
from fsm_engine.handlers.profilers.profiler import BEGINNINGS, CAPACITY, STEPPED, Measure, TimeProfiler
from fsm_engine.handlers.profilers.tables import print_handlers, write_csv
from fsm_engine.runtime.state import State

_ORDER = {event: number for number, event in enumerate(Events)}


class HandlersTimeProfiler(TimeProfiler):
    """Measures every call of every handler, handlers of custom events included, the step and the wait for data.

    Call ``attach(engine)`` before the run, and ``print_results(get_results())`` after it or in a handler. Times are
    host times: work that the host queues on another device is not included. The step begins after the handlers of
    ITERATION_STARTED and ends when ITERATION_COMPLETED is entered; handlers of events that it fires are included. The
    wait for data begins after the handlers of GET_BATCH_STARTED and ends when GET_BATCH_COMPLETED is entered.

    It costs some tenths of a microsecond per call and move. Other profilers and `Engine.record` may be used beside it.

    Attributes:
        EVENT_FILTER_THESHOLD_TIME: of the class: calls that took fewer seconds are left out, for handlers with a
            filter. Zero by default, because calls that a filter prevents are not measured.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> profiler = HandlersTimeProfiler()
        >>> profiler.attach(trainer)
        >>> _ = trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: None)
        >>> _ = trainer.run([1, 2])
        >>> profiler.get_results()[0][:2]
        ['<lambda>', 'EPOCH_COMPLETED']
    """

    EVENT_FILTER_THESHOLD_TIME = 0.0

    def __init__(self, capacity: int = CAPACITY) -> None:
        super().__init__(capacity)
        self._handlers: dict[tuple[Any, str], Durations] = {}  # by event and name

    def get_results(self) -> list[list[Any]]:
        """Return the results of the run so far, in seconds.

        Returns:
            A row for each handler: its name, its event, the total, (shortest, its index), (longest, its index), mean
            and standard deviation. The total of a handler that was not called is "not triggered". The last three rows
            are Total, Processing and Dataflow.
        """
        self._update()
        handlers = self._by_event()
        rows = [[handler, _name(event), *_row(durations)] for (event, handler), durations in handlers.items()]
        total = round(sum(durations.total for durations in handlers.values()) / 1e9, 5)
        rows.append(["Total", "", total, "", "", "", ""])
        rows.append(["Processing", "None", *_row(self._step)])
        rows.append(["Dataflow", "None", *_row(self._data)])
        return rows

    def write_results(self, output_path: str | os.PathLike[str]) -> None:
        """Write a CSV file with a column for each handler: the newest `capacity` calls of it, in seconds.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        self._update()
        measured = {"processing_stats": self._step, "dataflow_stats": self._data}
        for (event, handler), durations in self._by_event().items():
            measured[f"{handler} ({_name(event)})"] = durations
        rows = max(len(durations.kept) for durations in measured.values())
        columns: dict[str, Iterable[float]] = {"#": map(float, range(1, rows + 1))}
        for name, durations in measured.items():
            columns[name] = chain(durations.seconds, repeat(0.0, rows - len(durations.kept)))
        write_csv(columns, output_path)

    @staticmethod
    def print_results(results: Sequence[Sequence[Any]]) -> None:
        """Print the results of `get_results`: with rich, if it is installed, to a terminal, else as plain text."""
        print_handlers(results)

    def _by_event(self) -> dict[tuple[Any, str], Durations]:
        """Return the durations of all handlers that were called or are attached, in the order of their events."""
        engine = self._engine()
        for event in [] if engine is None else engine._entries.values():
            for entry in event.handlers:
                self._of(entry)
        return dict(sorted(self._handlers.items(), key=lambda item: _ORDER.get(item[0][0], len(_ORDER))))

    def _of(self, entry: HandlerEntry) -> Durations:
        key = entry.event, name_of_handler(entry.handler)
        if key not in self._handlers:
            self._handlers[key] = self._new_durations()
        return self._handlers[key]

    def _measure(self, source: Any, target: Any) -> Measure | None:  # noqa: ARG002
        if target not in BEGINNINGS:
            return None
        began, add = self._visit(BEGINNINGS[target]), (self._step if target == STEPPED else self._data).add

        def measure(time: int, _state: State) -> bool:
            add(time - began.ready)
            return self._update_if_full()

        return measure

    def _call_adder(self, entry: HandlerEntry) -> Callable[[int], object]:
        add = self._of(entry).add
        shortest = 0 if entry.filter is None else self.EVENT_FILTER_THESHOLD_TIME * 1e9
        return add if not shortest else lambda duration: add(duration) if duration >= shortest else None


def _name(event: Any) -> str:
    return getattr(event, "name", str(event))


def _row(durations: Durations) -> list[Any]:
    if not durations.count:
        return ["not triggered", ("None", "None"), ("None", "None"), "None", "None"]
    ends = [(round(duration / 1e9, 5), index) for duration, index in (durations.min, durations.max)]
    std = round(durations.std / 1e9, 5) if durations.count > 1 else "None"
    return [round(durations.total / 1e9, 5), *ends, round(durations.mean / 1e9, 5), std]
