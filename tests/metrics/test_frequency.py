"""`Frequency` with a clock that the test controls."""

from __future__ import annotations

import pytest

from fsm_engine import Engine, Events
from fsm_engine.metrics import (
    Frequency,
    NotComputableError,
)


def test_frequency_counts_items_per_second_of_the_epoch_so_far(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("fsm_engine.metrics.frequency.running_time", lambda: now[0])

    def step(engine, batch):
        now[0] += 0.5
        return batch

    engine, seen = Engine(step), []
    frequency = Frequency()
    frequency.attach(engine, "per second", Events.ITERATION_COMPLETED(every=2))
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: seen.append(engine.state.metrics.get("per second")))
    engine.run([10, 20, 30, 41], max_epochs=2)
    assert seen == [None, 30, 30, 50, 50, 30, 30, 50]
    assert frequency.compute() == 50.5
    now[0] += 1000
    twin = Frequency()
    twin.load_state_dict(frequency.state_dict())
    now[0] += 0.5
    twin.update(24)
    assert (twin.compute(), frequency.is_attached(engine)) == (50, False)
    frequency.detach(engine, Events.ITERATION_COMPLETED(every=2))
    assert len(engine.handlers()) == 1  # the handler of this test


def test_frequency_without_an_update_raises():
    with pytest.raises(NotComputableError, match="Frequency must have at least one update"):
        Frequency().compute()
