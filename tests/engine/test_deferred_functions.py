"""Coroutine and generator functions, whose call runs none of their code, are refused where they are given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import pytest

from fsm_engine import Engine, EventEnum, Events, Lifecycle
from fsm_engine.handlers import Checkpoint, GracefulStop, Watchdog


class P(EventEnum):
    CHECK = "check"


async def coroutine(*args: Any) -> None:
    pytest.fail("it was refused")


def generator(*args: Any) -> Any:
    yield pytest.fail("it was refused")


async def async_generator(*args: Any) -> Any:
    yield pytest.fail("it was refused")


class Deferred:
    async def __call__(self, *args: Any) -> None:
        pytest.fail("it was refused")

    def steps(self, *args: Any) -> Any:
        yield pytest.fail("it was refused")


KINDS: dict[str, tuple[Callable[..., Any], str, str]] = {
    "coroutine": (coroutine, "coroutine", "asyncio.run(coroutine(*args))"),
    "generator": (generator, "generator", "return instead of yield"),
    "async generator": (async_generator, "async generator", "def and return"),
    "object": (Deferred(), "coroutine", "def instead of async def"),
    "method": (Deferred().steps, "generator", "list(steps(*args))"),
    "partial": (partial(generator, 1), "generator", "return instead of yield"),
    "partial of a partial of an object": (partial(partial(Deferred(), 1), 2), "coroutine", "def instead of async def"),
}


def step(engine: Engine, batch: Any) -> Any:
    return batch


PLACES: dict[str, Callable[[Any], Any]] = {
    "the step": Engine,
    "the step of a lifecycle": Lifecycle.training,
    "a bound step": lambda f: Lifecycle.from_json(Lifecycle.training(step).to_json(), bind={"step": f}),
    "a handler": lambda f: Engine(step).add_event_handler(Events.STARTED, f),
    "a decorated handler": lambda f: Engine(step).on(Events.STARTED | Events.COMPLETED)(f),
    "a handler of an exit": lambda f: Engine(step).on_exit(Events.STARTED)(f),
    "an event filter": lambda f: Events.STARTED(event_filter=f),
    "an observer": lambda f: Engine(step).observe(f),
    "an activity": lambda f: Lifecycle("own").add_phase(P.CHECK, activity=f),
    "a guard": lambda f: Lifecycle("own").add_transition(Events.STARTED >> P.CHECK, guard=f),
    "an action": lambda f: Lifecycle("own").add_transition(Events.STARTED >> P.CHECK, action=f),
    "a callback": lambda f: Engine(step).call_when_safe(f),
    "a callback of a watchdog": lambda f: Watchdog(after=60, callback=f),
    "a save handler": lambda f: Checkpoint({"engine": Engine(step)}, f),
    "a handler that saves": lambda f: GracefulStop(save=[f]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_a_function_whose_call_does_not_run_it_is_refused_with_the_fix(place: str, kind: str) -> None:
    function, name, fix = KINDS[kind]
    with pytest.raises((TypeError, ValueError), match=rf"is an? {name} function") as error:
        PLACES[place](function)
    assert fix in str(error.value)


def test_a_refused_handler_is_attached_to_no_event() -> None:
    engine = Engine(step)
    with pytest.raises(TypeError, match="coroutine function"):
        engine.add_event_handler(Events.STARTED | Events.COMPLETED, coroutine)
    assert engine.handlers() == []


def test_a_handler_of_ignite_that_does_not_run_is_refused() -> None:
    pytest.importorskip("ignite")
    from ignite.engine import Events as IgniteEvents

    from fsm_engine.compat.ignite import adapt

    adapted = adapt(Engine(step))
    with pytest.raises(TypeError, match="generator function"):
        adapted.add_event_handler(IgniteEvents.STARTED, generator)
    with pytest.raises(TypeError, match="coroutine function"):
        adapted.add_event_handler(IgniteEvents.STARTED(event_filter=coroutine), print)


def test_a_function_that_runs_a_coroutine_is_accepted() -> None:
    calls: list[str] = []

    async def save(engine: Engine) -> None:
        calls.append("saved")

    @wraps(save)
    def run_save(engine: Engine) -> None:
        asyncio.run(save(engine))

    engine = Engine(step)
    engine.add_event_handler(Events.COMPLETED, run_save)
    engine.add_event_handler(Events.COMPLETED, lambda *args: asyncio.run(save(*args)))
    engine.run([1])
    assert calls == ["saved", "saved"]
