"""`BasicTimeProfiler`: the time of the step, of the wait for data, and of the handlers of each event."""

from __future__ import annotations

import os
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from fsm_engine.dispatch.entries import HandlerEntry
from fsm_engine.engine.explain import name_of_handler
from fsm_engine.events.events import Events
from fsm_engine.events.scopes import Scope
from fsm_engine.handlers.profilers.durations import Durations
from fsm_engine.handlers.profilers.profiler import (
    BEGINNINGS,
    CAPACITY,
    FETCH,
    FETCHED,
    STEP,
    STEPPED,
    Measure,
    TimeProfiler,
)
from fsm_engine.handlers.profilers.tables import print_basic, write_csv
from fsm_engine.lifecycle.bounds import SCOPE_BOUNDS
from fsm_engine.runtime.state import State
from fsm_engine.timeline.track_writer import fitting

_OF_RUN, _OF_EPOCH, _OF_ITERATION = SCOPE_BOUNDS[Scope.RUN], SCOPE_BOUNDS[Scope.EPOCH], (STEP, STEPPED, FETCH, FETCHED)
_COLUMNS = (*_OF_RUN, *_OF_EPOCH, *_OF_ITERATION)
_COUNTED = {STEPPED: _OF_ITERATION, **{event: (event,) for event in (*_OF_RUN, *_OF_EPOCH)}}
"""By event at whose end something is counted, the events whose handlers are counted."""


class BasicTimeProfiler(TimeProfiler):
    """Measures the step, the wait for data and the handlers of each event of the training lifecycle, per iteration.

    Call ``attach(engine)`` before the run, and ``print_results(get_results())`` after it or in a handler. Times are
    host times: work that the host queues on another device is not included. The step begins after the handlers of
    ITERATION_STARTED and ends when ITERATION_COMPLETED is entered; handlers of events that it fires are included. The
    wait for data begins after the handlers of GET_BATCH_STARTED and ends when GET_BATCH_COMPLETED is entered. An
    iteration is counted when ITERATION_COMPLETED is left.

    It costs some tenths of a microsecond per call and move. Other profilers and `Engine.record` may be used beside it.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> profiler = BasicTimeProfiler()
        >>> profiler.attach(trainer)
        >>> _ = trainer.run([1, 2])
        >>> sorted(profiler.get_results())[:3]
        ['dataflow_stats', 'event_handlers_names', 'event_handlers_stats']
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        super().__init__(capacity)
        self._events = {event: self._new_durations() for event in Events if event in _COLUMNS}
        self._names: dict[Events, list[str]] = {event: [] for event in self._events}
        self._epochs = {event: self._new_durations() for event in (*_OF_EPOCH, STEPPED)}  # numbers, when counted
        self._iterations = self._new_durations()  # numbers, too
        self._activities = [0, 0]  # the step and the wait for data of an iteration that is not counted yet

    def get_results(self) -> dict[str, dict[str, Any]]:
        """Return the results of the run so far, in seconds.

        Returns:
            ``processing_stats`` and ``dataflow_stats``; ``event_handlers_stats`` by the name of the event, and
            ``total_time``, a tensor; ``event_handlers_names`` by that name followed by ``_names``. Statistics have
            ``total``, and, for two or more durations, ``min/index``, ``max/index``, ``mean`` and ``std``. The total of
            an event that did not happen is "not yet triggered".
        """
        self._update()
        stats = {event.name: _shown(durations) for event, durations in self._events.items()}
        dataflow = _shown(self._data)
        if not self._data.total:  # every iteration without data added zeros
            stats[FETCH.name] = stats[FETCHED.name] = dataflow = _shown(Durations(1))
        total = sum(durations.total for durations in self._events.values())
        return OrderedDict(
            processing_stats=_shown(self._step),
            dataflow_stats=dataflow,
            event_handlers_stats={**stats, "total_time": torch.tensor(total / 1e9)},
            event_handlers_names={f"{event.name}_names": self._names_of(event) for event in self._events},
        )

    def _names_of(self, event: Events) -> list[str]:
        engine = self._engine()
        if engine is not None and event in engine._entries:
            self._names[event] = [name_of_handler(entry.handler) for entry in engine._entries[event].handlers]
        return self._names[event]

    def write_results(self, output_path: str | os.PathLike[str]) -> None:
        """Write a CSV file with a row for each of the newest `capacity` iterations, in seconds.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        self._update()
        dropped = self._step.count - len(self._step.kept)
        if dropped:
            warnings.warn(
                f"The first {dropped} iterations are not in {output_path}, because the profiler keeps the newest "
                f"{self._capacity}. Create it with a larger capacity: {type(self).__name__}(capacity=...).",
                stacklevel=2,
            )
        columns: dict[str, Iterable[float]] = {
            "epoch": map(float, self._epochs[STEPPED].kept),
            "iteration": map(float, self._iterations.kept),
            "processing_stats": self._step.seconds,
            "dataflow_stats": self._data.seconds,
        }
        columns |= {f"Event_{event.name}": self._column(event) for event in _COLUMNS}
        write_csv(columns, output_path)

    def _column(self, event: Events) -> Iterable[float]:
        durations = self._events[event]
        if event in _OF_ITERATION:
            return durations.seconds
        if event in _OF_RUN:
            return [durations.total / 1e9] * len(self._epochs[STEPPED].kept)
        by_epoch = dict(zip(self._epochs[event].kept, durations.seconds))
        return [by_epoch.get(epoch, 0.0) for epoch in self._epochs[STEPPED].kept]

    @staticmethod
    def print_results(results: Mapping[str, Any]) -> str:
        """Print the results of `get_results`: with rich, if it is installed, to a terminal, else as plain text.

        Returns:
            The plain text.
        """
        return print_basic(results)

    def _call_adder(self, entry: HandlerEntry) -> Callable[[int], object]:
        if entry.event in self._names:
            self._names_of(entry.event)  # type: ignore[arg-type]
        return lambda _duration: None  # the visit has the time of all handlers

    def _measure(self, source: Any, target: Any) -> Measure | None:
        began = self._visit(BEGINNINGS[target]) if target in BEGINNINGS else None
        left, counted = self._visit(source), [(self._visit(e), self._events[e].add) for e in _COUNTED.get(source, ())]
        activities, place, is_row = self._activities, int(target == FETCHED), source == STEPPED
        epochs, iterations, add_step, add_data = (
            self._epochs.get(source),
            self._iterations,
            self._step.add,
            self._data.add,
        )

        def measure(time: int, state: State) -> bool:
            if began is not None:
                activities[place] = time - began.ready
            if not counted or not left.is_open:
                return False
            left.is_open = False
            for visit, add in counted:
                add(visit.ready - visit.entered)
            if epochs is not None:
                epochs.add(fitting(state.epoch, 64))
            if not is_row:
                return False
            add_step(activities[0])
            add_data(activities[1])
            activities[0] = activities[1] = 0
            iterations.add(fitting(state.iteration, 64))
            return self._update_if_full()

        return measure if began is not None or counted else None


def _shown(durations: Durations) -> dict[str, Any]:
    if not durations.count:
        return OrderedDict(total="not yet triggered")
    shown: dict[str, Any] = OrderedDict(total=durations.total / 1e9)
    if durations.count > 1:
        for name, (duration, index) in (("min/index", durations.min), ("max/index", durations.max)):
            shown[name] = (duration / 1e9, index)
        shown.update(mean=durations.mean / 1e9, std=durations.std / 1e9)
    return shown
