"""The bar of one engine: its handlers, and the text and numbers that it shows."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

from fsm_engine.events.events import Event, Events, name_of
from fsm_engine.graph.transitions import Transition, Trigger
from fsm_engine.handlers.progress_bar.backend import DRAWS_PER_SECOND, Backend, Bar, BarContent
from fsm_engine.handlers.run_length import planned_epochs, planned_iterations
from fsm_engine.loggers.state_reader import StateReader

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine
    from fsm_engine.graph.graph import Graph
    from fsm_engine.runtime.state import State


class EngineBar:
    """Handlers that draw and close the bar of one engine."""

    def __init__(
        self, backend: Backend, description: str | None, reader: StateReader, event: Event, closing_event: Event
    ) -> None:
        self._backend, self._description, self._reader = backend, description, reader
        self._event, self._closing_event = event, closing_event
        self._bar: Bar | None = None
        self._values: dict[str, Any] = {}
        self._draw_times: deque[float] = deque(maxlen=DRAWS_PER_SECOND)
        self._next_draw = 0.0  # earliest time of the next draw

    def update(self, engine: Engine) -> None:
        """Draw the bar if the last draw is long enough ago."""
        if monotonic() >= self._next_draw:
            self._draw(engine.state)

    def _draw(self, state: State) -> None:
        self._read(state)
        content = self._content(state)
        if self._bar is None:
            self._bar = self._backend.open(content)
        else:
            self._bar.update(content)
        now = monotonic()
        self._draw_times.append(now)
        self._next_draw = max(now + self._backend.interval, self._end_of_full_second())

    def _end_of_full_second(self) -> float:
        """Return the time from which one more draw stays within `DRAWS_PER_SECOND`."""
        return self._draw_times[0] + 1 if len(self._draw_times) == DRAWS_PER_SECOND else 0.0

    def finish(self, engine: Engine) -> None:
        """Close the bar at the closing event.

        A bar that stays on the screen shows the last values, and is opened first if the epoch was too short for a draw.
        """
        if self._backend.persist:
            self._read(engine.state)
            self._bar = self._bar or self._backend.open(self._content(engine.state))
        self.close(engine)

    def leave_run(self, engine: Engine, transition: Transition) -> None:
        """Close the bar when `Scope.RUN` is left, unless the closing event follows without a signal.

        The bar is closed before the handlers of the next phase, which may print.
        """
        if not _follows(engine.lifecycle.graph, transition.target, self._closing_event):
            self.close(engine)

    def close(self, engine: Engine) -> None:
        """Close the bar if one is open. Reads no values, because the run may have failed."""
        if self._bar is not None:
            bar, self._bar = self._bar, None
            bar.close(self._content(engine.state))
            self._next_draw = self._end_of_full_second()

    def _read(self, state: State) -> None:
        self._values = {"_".join(names): value for names, value in self._reader.read(state, True).items()}

    def _content(self, state: State) -> BarContent:
        counter = state.event_to_attr[self._event]
        one_bar_per_run = self._closing_event == Events.COMPLETED
        n, epochs = getattr(state, counter), planned_epochs(state)
        name, total = name_of(self._event), None
        if counter == "epoch":
            name, total = "Epoch", epochs
        elif counter == "iteration":
            name = "Iteration" if one_bar_per_run or epochs == 1 else "Epoch"
            total = planned_iterations(state) if one_bar_per_run else state.epoch_length
            if total is not None and not one_bar_per_run:
                n = (n - 1) % total + 1
        name = self._description or name
        if not one_bar_per_run and epochs not in (None, 1):
            name = f"{name} [{state.epoch}/{epochs}]"
        return BarContent(name, n, total, self._values)


def _follows(graph: Graph, phase: Any, event: Event) -> bool:
    """Return True if `event` is `phase`, or if automatic transitions can lead from `phase` to it."""
    found, pending = set(), [phase]
    while pending:
        phase = pending.pop()
        if phase == event:
            return True
        if phase in graph.index and phase not in found:
            found.add(phase)
            exits = graph.exits[graph.index[phase]]
            pending += [exit_.target for exit_ in exits if exit_.trigger is Trigger.AUTOMATIC]
    return False
