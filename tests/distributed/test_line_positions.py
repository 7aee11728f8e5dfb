"""Positions by line: a flag that is set at such a line is read before the run gets beyond the next safe place."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import pytest

from fsm_engine import Engine, Events
from fsm_engine.compiler.line_positions import line_positions
from fsm_engine.distributed.places import Place, phase_orders
from fsm_engine.graph.positions import is_entered, phase_at
from fsm_engine.graph.signals import Signal

PHASES = [event for event in Engine(lambda engine, batch: None).lifecycle.graph.index if isinstance(event, Events)]


class Looks:
    """A `SignalAgreement` that is asked for signals, and records where, once `is_pending` is True."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.is_pending, self.places = engine, False, list[Place]()
        engine._agreement = self  # type: ignore[assignment]

    def begin_run(self) -> None:
        pass

    def leave_safe_point(self) -> None:
        pass

    def end_run(self, error: BaseException | None) -> None:
        pass

    def request(self, signal: Signal, skip: bool) -> None:
        self.engine._signals.requests[signal] = skip
        self.engine._signals.needs_attention = True

    def at_safe_point(self, position: int) -> dict[Signal, bool]:
        self.places.append(self.place(position))
        return {}

    def place(self, position: int) -> Place:
        state, orders = self.engine.state, phase_orders(self.engine._graph)
        return Place(1, state.epoch, state.iteration, orders[phase_at(position)])


def make_engine(chance: random.Random) -> Engine:
    """Return an engine with handlers of some phases, one of which may end an epoch or skip its end."""
    engine = Engine(lambda engine, batch: None)
    for event in chance.sample(PHASES, chance.randint(0, len(PHASES))):
        engine.add_event_handler(event, lambda *arguments: None)
    if chance.random() < 0.5:
        skip = chance.random() < 0.5
        engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda engine: engine.terminate_epoch(skip))
    return engine


class Walk:
    """A run whose flag is set before one of the lines of its function.

    Attributes:
        places: the places at which the run looks for signals from then on.
        line: the number of lines executed.
        known: at that line, the place that the run is certain not to pass without looking; None if none is known.
    """

    def __init__(self, seed: int, line: int) -> None:
        self._engine = make_engine(random.Random(seed))
        self._looks, self._set_at = Looks(self._engine), line
        self.places, self.line, self.known = self._looks.places, 0, None
        if line == 0:
            self._looks.is_pending = True
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            self._engine.run(range(2), max_epochs=2)
        finally:
            sys.settrace(before)

    def _trace(self, frame: Any, event: str, _argument: Any) -> Callable[..., Any] | None:
        if not frame.f_code.co_filename.startswith("<fsm_engine run "):
            return None
        if event == "line":
            self.line += 1
            if self.line == self._set_at:
                self._looks.is_pending = self._engine._signals.needs_attention = True
                position = line_positions(self._engine.source).get(frame.f_lineno)
                if position is not None:
                    place = self._looks.place(position)
                    self.known = place._replace(order=place.order + is_entered(position))
        return self._trace


@pytest.mark.parametrize("seed", range(5))
def test_the_run_looks_at_every_place_from_the_known_one_on(seed: int) -> None:
    every, lines = Walk(seed, 0).places, Walk(seed, -1).line
    known = 0

    for line in random.Random(seed).sample(range(1, lines + 1), 40):
        walk = Walk(seed, line)

        passed = every[: len(every) - len(walk.places)]
        assert passed + walk.places == every
        if walk.known is not None:
            known += 1
            assert all(place < walk.known for place in passed)
            assert not walk.places or walk.known <= walk.places[0]
    assert known > 5
