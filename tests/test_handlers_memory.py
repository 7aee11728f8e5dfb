"""Engines with handlers and an evaluator inside leave nothing behind when they are dropped, without a collection."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from fsm_engine import Engine, Events
from fsm_engine.handlers import (
    EarlyStopping,
    EMAHandler,
    EpochOutputStore,
    GracefulStop,
    TerminateOnNan,
    TimeLimit,
    Timer,
    Watchdog,
    global_step_from_engine,
)


class Logs:
    """Writes down the score with the trainer's step: what a logger or a checkpoint on an evaluator keeps."""

    def __init__(self, step: Any) -> None:
        self.step, self.lines = step, []

    def __call__(self, engine: Engine) -> None:
        self.lines.append((self.step(engine, Events.EPOCH_COMPLETED), engine.state.output))


def score(engine: Engine) -> float:
    return engine.state.output.item()


def trained() -> list[weakref.ref[Any]]:
    """Train for two iterations with everything attached, drop it, and return references to its parts."""
    net = nn.Linear(1, 1)
    trainer, evaluator = Engine(lambda engine, batch: net(batch)), Engine(lambda engine, batch: net(batch))
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([torch.ones(1)]))
    average, store = EMAHandler(net, momentum_warmup=0.1, warmup_iters=2), EpochOutputStore()
    average.attach(trainer)
    store.attach(trainer, "outputs")
    Timer().attach(trainer)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, TerminateOnNan())
    trainer.add_event_handler(Events.ITERATION_COMPLETED, TimeLimit())
    stop = GracefulStop(save=score).attach(trainer).attach(evaluator)
    early = EarlyStopping(3, score, trainer)
    early.attach(evaluator)
    logs = Logs(global_step_from_engine(trainer))
    evaluator.add_event_handler(Events.COMPLETED, logs)
    trainer.run([torch.zeros(1)], max_epochs=2)
    assert (trainer.state.iteration, len(logs.lines), average.updates) == (2, 2, 2)
    return [weakref.ref(one) for one in (net, trainer, evaluator, average, average.ema_model, store, stop, early, logs)]


@pytest.fixture
def _without_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_without_collections")
@pytest.mark.parametrize("runs", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_a_thousand_engines_leave_nothing_behind(runs: int) -> None:
    trained()
    gc.collect()
    before = Counter(type(one).__name__ for one in gc.get_objects())
    for _ in range(runs):
        left = [one() for one in trained()]
        assert left == [None] * len(left)
    assert gc.collect() == 0
    more = Counter(type(one).__name__ for one in gc.get_objects()) - before
    assert more.total() < runs, more


@pytest.mark.usefixtures("_without_collections")
@pytest.mark.parametrize("event", [Events.COMPLETED(once=1), "own", Events.STARTED >> Events.EPOCH_STARTED], ids=str)
def test_a_handler_goes_with_its_engine(event: Any) -> None:
    engine, handler = Engine(lambda engine, batch: engine.fire_event("own")), Logs(None)
    engine.register_events("own")
    engine.add_event_handler(event, lambda logs: logs.lines.append(1), handler)
    engine.run([1])
    assert handler.lines == [1]
    dropped = weakref.ref(handler)
    del engine, handler
    assert dropped() is None


@pytest.mark.usefixtures("_without_collections")
def test_an_engine_that_is_dropped_while_suspended_or_after_a_failure_leaves_nothing_behind() -> None:
    def fail() -> None:
        raise ValueError("no")

    for end in (Engine.interrupt, fail):
        engine = Engine(lambda engine, batch: batch)
        GracefulStop().attach(engine)
        Watchdog(60).attach(engine)
        engine.add_event_handler(Events.ITERATION_COMPLETED, end)
        dropped = weakref.ref(engine)
        try:
            engine.run([1, 2])
        except ValueError as error:
            del error
        del engine
        assert dropped() is None
