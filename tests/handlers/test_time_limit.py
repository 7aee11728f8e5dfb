"""`TimeLimit`: when it terminates a run."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

from fsm_engine import Engine, Events
from fsm_engine.handlers import TimeLimit, time_limit

Clock = Callable[[float], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the clock with one that only moves when the test calls it: ``clock(2)`` moves it by two seconds."""
    now = [100.0]
    monkeypatch.setattr(time_limit, "running_time", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


def test_a_run_is_terminated_at_the_first_event_after_the_limit(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    handler, engine = TimeLimit(10), Engine(lambda engine, batch: clock(batch))
    engine.add_event_handler(Events.ITERATION_COMPLETED, handler)
    with caplog.at_level(logging.INFO):
        engine.run([4, 6, 0.5, 1])
    assert (engine.outcome, engine.state.iteration) == ("terminated", 3)
    assert any(message.startswith("TimeLimit: 10.5 s ") and " 10 s" in message for message in caplog.messages)


def test_an_unpickled_handler_starts_its_time_again(clock: Clock) -> None:
    handler = TimeLimit(10)
    clock(11)
    for limit in (handler, pickle.loads(pickle.dumps(handler))):
        engine = Engine(lambda engine, batch: batch)
        engine.add_event_handler(Events.ITERATION_COMPLETED, limit)
        engine.run([1, 2])
        assert (engine.outcome == "terminated") == (limit is handler)


@pytest.mark.parametrize(
    ("limit", "error", "message"),
    [
        (1.5, TypeError, "Argument limit_sec should be an integer. Got 1.5."),
        ("1", TypeError, "Argument limit_sec should be an integer. Got '1'."),
        (0, ValueError, "Argument limit_sec should be a positive integer. Got 0."),
        (-3, ValueError, "Argument limit_sec should be a positive integer. Got -3."),
    ],
)
def test_a_wrong_limit_is_an_error(limit: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        TimeLimit(limit)
    assert str(caught.value) == message
