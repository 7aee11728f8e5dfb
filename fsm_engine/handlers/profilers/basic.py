"""`BasicTimeProfiler`: what a run's time is spent on: the step, the data, and the handlers of each event."""

from __future__ import annotations

import os
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter_ns
from typing import Any

from fsm_engine.dispatch.entries import Handler, HandlerEntry
from fsm_engine.engine.explain import name_of_handler
from fsm_engine.events.events import Event, Events
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.transitions import Transition
from fsm_engine.handlers.profilers.tables import print_basic, write_csv
from fsm_engine.lifecycle.bounds import SCOPE_BOUNDS
from fsm_engine.timeline.durations import Durations, Statistics
from fsm_engine.timeline.stopwatch import FETCH, FETCHED, ROOM, STEP, STEPPED, Stopwatch, Visited

_OF_RUN, _OF_EPOCH = SCOPE_BOUNDS[Scope.RUN], SCOPE_BOUNDS[Scope.EPOCH]
_OF_ITERATION = (STEP, STEPPED, FETCH, FETCHED)
_COLUMNS = (*_OF_RUN, *_OF_EPOCH, *_OF_ITERATION)
_EVENTS = tuple(event for event in Events if event in _COLUMNS)


class BasicTimeProfiler(Stopwatch):
    """Measures in every iteration the step, the wait for data, and the handlers of each event of training.

    ``attach(engine)`` it, and look at ``print_results(get_results())`` afterwards, or in a handler. Times are those of
    the host: work that is only queued on another device is not in them. The step's time begins when the handlers of
    ITERATION_STARTED are through and ends when ITERATION_COMPLETED is entered, what it fires included; that of the data
    lies between GET_BATCH_STARTED and GET_BATCH_COMPLETED. An iteration is counted when ITERATION_COMPLETED is left.

    It may be used beside other profilers and `Engine.record`, and costs a fraction of a microsecond per move.
    """

    def __init__(self, room: int = ROOM) -> None:
        super().__init__(room)
        self._step, self._data = Durations(), Durations()
        self._handlers = {event: Durations() for event in _EVENTS}
        self._epochs, self._iterations = Durations(), Durations()  # of each row; numbers, not durations
        self._epochs_of = {event: Durations() for event in _OF_EPOCH}
        self._names: dict[Event, list[str]] = {}  # of handlers, as they were last
        self._stepped = self._waited = 0

    def get_results(self) -> dict[str, dict[str, Any]]:
        """Return what was measured until now, in seconds.

        Returns:
            ``processing_stats`` and ``dataflow_stats``; ``event_handlers_stats`` by the name of the event, with
            ``total_time``, a tensor; ``event_handlers_names`` by that name with ``_names`` behind it. Statistics have
            ``total``, "not yet triggered" if there was nothing, and for two or more ``min/index``, ``max/index``,
            ``mean`` and ``std``.
        """
        import torch

        data = self._data.statistics
        has_data = data.total > 0  # a run without data has a row of zeros for each iteration
        stats = {event: durations.statistics for event, durations in self._handlers.items()}
        if not has_data:
            stats.update({FETCH: Statistics(), FETCHED: Statistics()})
        total = torch.tensor(sum(found.total for found in stats.values()) / 1e9)
        return OrderedDict(
            processing_stats=_shown(self._step.statistics),
            dataflow_stats=_shown(data if has_data else Statistics()),
            event_handlers_stats={**{e.name: _shown(found) for e, found in stats.items()}, "total_time": total},
            event_handlers_names={f"{event.name}_names": self._names_of(event) for event in _EVENTS},
        )

    def _names_of(self, event: Event) -> list[str]:
        engine = self._engine()
        if engine is not None:
            self._names[event] = [name_of_handler(attachment.handler) for attachment in engine._entries[event].handlers]
        return self._names.get(event, [])

    def write_results(self, output_path: str | os.PathLike[str]) -> None:
        """Write a CSV file with a row per iteration, times in seconds; of the newest `room` iterations.

        Raises:
            ModuleNotFoundError: if pandas is not installed.
        """
        self._forget_old()
        if self._step.forgotten:
            warnings.warn(
                f"the first {self._step.forgotten} iterations are not in {output_path}, since the profiler keeps the "
                f"newest {self._room}. Give it more room: {type(self).__name__}(room=...).",
                stacklevel=2,
            )
        columns: dict[str, Iterable[float]] = {
            "epoch": map(float, self._epochs.kept),
            "iteration": map(float, self._iterations.kept),
            "processing_stats": _seconds(self._step),
            "dataflow_stats": _seconds(self._data),
        }
        for event in _COLUMNS:
            columns[f"Event_{event.name}"] = self._column(event)
        write_csv(columns, output_path)

    def _column(self, event: Events) -> Iterable[float]:
        durations = self._handlers[event]
        if event in _OF_ITERATION:
            return _seconds(durations)
        if event in _OF_RUN:
            return [durations.statistics.total / 1e9] * len(self._epochs.kept)
        by_epoch = dict(zip(self._epochs_of[event].kept, _seconds(durations)))
        return [by_epoch.get(epoch, 0.0) for epoch in self._epochs.kept]

    @staticmethod
    def print_results(results: Mapping[str, Any]) -> str:
        """Print what `get_results` returned, on a terminal as a table if rich is installed; return the plain text."""
        return print_basic(results)

    def _durations(self) -> Iterable[Durations]:
        numbers = (self._epochs, self._iterations, *self._epochs_of.values())
        return (self._step, self._data, *self._handlers.values(), *numbers)

    def _moving(self, transition: Transition, target: Visited) -> Callable[[int, Any], None]:
        if transition.source == STEPPED:
            return self._ending_iteration(target)
        if transition.target in (FETCHED, STEPPED):
            return self._ending_wait(target, transition.target == STEPPED)
        if transition.source in _OF_RUN or transition.source in _OF_EPOCH:
            return self._ending_event(transition.source, target)

        def enter(time: int, _engine: Any) -> None:
            target.entered = target.through = time
            target.is_new = True

        return enter

    def _ending_wait(self, target: Visited, for_step: bool) -> Callable[[int, Any], None]:
        begun = self._of(STEP if for_step else FETCH)

        def enter(time: int, _engine: Any) -> None:
            target.entered = target.through = time
            target.is_new = True
            if for_step:
                self._stepped = time - begun.through
            else:
                self._waited = time - begun.through

        return enter

    def _ending_event(self, event: Any, target: Visited) -> Callable[[int, Any], None]:
        visited, add = self._of(event), self._handlers[event].add
        number = self._epochs_of[event].add if event in self._epochs_of else None

        def enter(time: int, engine: Any) -> None:
            if visited.is_new:
                visited.is_new = False
                add(visited.in_handlers)
                if number is not None:
                    number(engine.state.epoch)
            target.entered = target.through = time
            target.is_new = True

        return enter

    def _ending_iteration(self, target: Visited) -> Callable[[int, Any], None]:
        step, data = self._step.add, self._data.add
        epoch, iteration = self._epochs.add, self._iterations.add
        events = [(self._of(event), self._handlers[event].add) for event in _OF_ITERATION]
        stepped, kept, most = self._of(STEPPED), self._step.kept, 2 * self._room

        def enter(time: int, engine: Any) -> None:
            if stepped.is_new:
                stepped.is_new = False
                step(self._stepped)
                data(self._waited)
                for visited, add in events:
                    add(visited.through - visited.entered)
                state = engine.state
                epoch(state.epoch)
                iteration(state.iteration)
                if len(kept) > most:
                    self._forget_old()
            target.entered = target.through = time
            target.is_new = True

        return enter

    def _around(self, attachment: HandlerEntry, handler: Handler, alone: bool) -> Handler:
        visited, now = self._of(attachment.event), perf_counter_ns
        if attachment.event in self._handlers:
            self._names_of(attachment.event)  # type: ignore[arg-type]  # no edge

        def marked(*args: Any, **kwargs: Any) -> Any:
            try:
                return handler(*args, **kwargs)
            finally:
                visited.through = now()

        def marked_alone(engine: Any) -> None:
            try:
                handler(engine)
            finally:
                visited.through = now()

        return marked_alone if alone else marked


def _seconds(durations: Durations) -> list[float]:
    return [duration / 1e9 for duration in durations.kept]


def _shown(statistics: Statistics) -> dict[str, Any]:
    if not statistics.count:
        return OrderedDict(total="not yet triggered")
    shown: dict[str, Any] = OrderedDict(total=statistics.total / 1e9)
    if statistics.count > 1:
        for name, (duration, index) in (("min/index", statistics.min), ("max/index", statistics.max)):
            shown[name] = (duration / 1e9, index)
        shown.update(mean=statistics.mean / 1e9, std=statistics.std / 1e9)
    return shown
