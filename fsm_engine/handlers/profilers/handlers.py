"""`HandlersTimeProfiler`: what a run's time is spent on, handler by handler."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from time import perf_counter_ns
from typing import Any

from fsm_engine.dispatch.entries import Handler, HandlerEntry
from fsm_engine.engine.explain import name_of_handler
from fsm_engine.events.events import Events
from fsm_engine.graph.transitions import Transition
from fsm_engine.handlers.profilers.tables import print_handlers, write_csv
from fsm_engine.timeline.durations import Durations, Statistics
from fsm_engine.timeline.stopwatch import FETCH, FETCHED, ROOM, STEP, STEPPED, Stopwatch, Visited

_ORDER = {event: number for number, event in enumerate(Events)}


class HandlersTimeProfiler(Stopwatch):
    """Measures every call of every handler, custom events included, the step and the wait for data.

    ``attach(engine)`` it, and look at ``print_results(get_results())`` afterwards, or in a handler. Times are those of
    the host: work that is only queued on another device is not in them. The step's time begins when the handlers of
    ITERATION_STARTED are through and ends when ITERATION_COMPLETED is entered, what it fires included; that of the data
    lies between GET_BATCH_STARTED and GET_BATCH_COMPLETED.

    It may be used beside other profilers and `Engine.record`, and costs some tenths of a microsecond per call and move.

    Attributes:
        EVENT_FILTER_THESHOLD_TIME: for classes: calls that took fewer seconds are left out, for handlers with a
            filter. Calls that a filter prevents are never counted, so it is zero.
    """

    EVENT_FILTER_THESHOLD_TIME = 0.0

    def __init__(self, room: int = ROOM) -> None:
        super().__init__(room)
        self._step, self._data = Durations(), Durations()
        self._calls: dict[tuple[Any, str], Durations] = {}

    def get_results(self) -> list[list[Any]]:
        """Return what was measured until now, in seconds.

        Returns:
            Rows of the name of a handler, that of its event, the total, (shortest, its index), (longest, its index),
            mean and standard deviation; "not triggered" is the total of one that was not called. The last three are
            Total, Processing and Dataflow.
        """
        stats = {key: durations.statistics for key, durations in self._by_event().items()}
        rows = [[handler, _named(event), *_shown(found)] for (event, handler), found in stats.items()]
        total = round(sum(found.total for found in stats.values()) / 1e9, 5)
        rows.append(["Total", "", total, "", "", "", ""])
        rows.append(["Processing", "None", *_shown(self._step.statistics)])
        rows.append(["Dataflow", "None", *_shown(self._data.statistics)])
        return rows

    def write_results(self, output_path: str | os.PathLike[str]) -> None:
        """Write a CSV file, times in seconds: a column per handler with its calls, of each the newest `room`.

        Raises:
            ModuleNotFoundError: if pandas is not installed.
        """
        self._forget_old()
        measured = {"processing_stats": self._step, "dataflow_stats": self._data}
        for (event, handler), durations in self._by_event().items():
            measured[f"{handler} ({_named(event)})"] = durations
        rows = max(len(durations.kept) for durations in measured.values())
        columns: dict[str, Iterable[float]] = {"#": map(float, range(1, rows + 1))}
        for name, durations in measured.items():
            seconds = [duration / 1e9 for duration in durations.kept]
            columns[name] = chain(seconds, repeat(0.0, rows - len(seconds)))
        write_csv(columns, output_path)

    @staticmethod
    def print_results(results: Sequence[Sequence[Any]]) -> None:
        """Print what `get_results` returned, on a terminal as a table if rich is installed."""
        print_handlers(results)

    def _by_event(self) -> dict[tuple[Any, str], Durations]:
        """Return what was measured of each handler, and of those that are attached, in the order of events."""
        engine = self._engine()
        for slot in [] if engine is None else engine._entries.values():
            for attachment in slot.handlers:
                self._of_call(attachment)
        return dict(sorted(self._calls.items(), key=lambda item: _ORDER.get(item[0][0], len(_ORDER))))

    def _of_call(self, attachment: HandlerEntry) -> Durations:
        return self._calls.setdefault((attachment.event, name_of_handler(attachment.handler)), Durations())

    def _durations(self) -> Iterable[Durations]:
        return (self._step, self._data, *self._calls.values())

    def _moving(self, transition: Transition, target: Visited) -> Callable[[int, Any], None]:
        if transition.target in (FETCHED, STEPPED):
            return self._ending_wait(target, transition.target == STEPPED)

        def enter(time: int, _engine: Any) -> None:
            target.entered = target.through = time

        return enter

    def _ending_wait(self, target: Visited, for_step: bool) -> Callable[[int, Any], None]:
        begun, durations = self._of(STEP if for_step else FETCH), self._step if for_step else self._data
        add, kept, most = durations.add, durations.kept, self._room

        def enter(time: int, _engine: Any) -> None:
            add(time - begun.through)
            target.entered = target.through = time
            if not len(kept) % most:
                self._forget_old()

        return enter

    def _around(self, attachment: HandlerEntry, handler: Handler, alone: bool) -> Handler:
        visited, add, now = self._of(attachment.event), self._of_call(attachment).add, perf_counter_ns
        least = 0 if attachment.filter is None else int(self.EVENT_FILTER_THESHOLD_TIME * 1e9)

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = now()
            try:
                return handler(*args, **kwargs)
            finally:
                visited.through = end = now()
                if end - start >= least:
                    add(end - start)

        def timed_alone(engine: Any) -> None:
            start = now()
            try:
                handler(engine)
            finally:
                visited.through = end = now()
                add(end - start)

        return timed_alone if alone and not least else timed


def _named(event: Any) -> str:
    return getattr(event, "name", str(event))


def _shown(statistics: Statistics) -> list[Any]:
    if not statistics.count:
        return ["not triggered", ("None", "None"), ("None", "None"), "None", "None"]
    ends = [(round(duration / 1e9, 5), index) for duration, index in (statistics.min, statistics.max)]
    std = round(statistics.std / 1e9, 5) if statistics.count > 1 else "None"
    return [round(statistics.total / 1e9, 5), *ends, round(statistics.mean / 1e9, 5), std]
