"""The cost of phases: fired by a step, entered by the engine, and of the supervised step.

Run ``python benchmarks/phases.py``; README.md in this folder explains the table.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from contestants import (
    bare_training,
    digits_batches,
    engine_training,
    engines,
    installed,
    looped,
    no_op,
    no_op_handler,
)
from harness import Benchmark, Contestant, Cost, Row, Target, at_most, main, times_cheaper

import fsm_engine
from fsm_engine import EventEnum, Events, StepEvents


class Part(EventEnum):
    """Phases of a step."""

    FIRST = "first"
    SECOND = "second"
    THIRD = "third"


FIRST, SECOND, THIRD = Part


class Place:
    """An object with a slot for the result of a look-up."""

    __slots__ = ("position",)


PLACE, TABLE = Place(), {FIRST: 1, SECOND: 2, THIRD: 3}


# Phases that the step fires


def store_thrice(_engine: Any, _batch: Any) -> None:
    """Look up and store three times, the lower bound of the cost of three moves."""
    place, table = PLACE, TABLE
    place.position = table[FIRST]  # type: ignore[attr-defined]
    place.position = table[SECOND]  # type: ignore[attr-defined]
    place.position = table[THIRD]  # type: ignore[attr-defined]


def fire_thrice(engine: Any, _batch: Any) -> None:
    """Fire three phases."""
    engine.fire_event(FIRST)
    engine.fire_event(SECOND)
    engine.fire_event(THIRD)


def _fires(module: Any) -> Any:
    """Return an engine with three phases in its step, or three events in an engine of Ignite."""
    if module is fsm_engine:
        engine = fsm_engine.Engine(fire_thrice)
        path = Events.ITERATION_STARTED >> FIRST >> SECOND >> THIRD >> Events.ITERATION_COMPLETED
        engine.lifecycle.add_path(path, required=True)
        return engine
    first, second, third = module.EventEnum("Part", {"FIRST": "first", "SECOND": "second", "THIRD": "third"})

    def step(engine: Any, _batch: Any) -> None:
        engine.fire_event(first)
        engine.fire_event(second)
        engine.fire_event(third)

    engine = module.Engine(step)
    engine.register_events(first, second, third)
    return engine


def fired_phases(_quick: bool) -> Benchmark:
    """Measure a phase that the step fires, without handlers."""
    contestants = [looped("stores", fsm_engine.Engine(store_thrice), "engine")]
    for kind, module in engines().items():
        contestants += [looped(f"{kind} fires", _fires(module), kind), looped(kind, module.Engine(no_op), kind)]
    label, ours = "a phase fired by the step, not observed", Cost("engine fires", over="engine", per=3)
    return Benchmark(
        contestants,
        [
            Row(label, ours, Cost("stores", over="engine", per=3), "look-up", at_most(3)),
            Row(label, ours, Cost("Ignite fires", over="Ignite", per=3), "Ignite", times_cheaper(15)),
        ],
    )


# Phases that the engine enters


def calling_step(engine: Any, _batch: Any) -> None:
    """A step that calls the function that is the activity of the phase."""
    no_op_handler(engine)


def walked_phase(_quick: bool) -> Benchmark:
    """Measure a phase whose activity the engine calls."""
    walks = fsm_engine.Engine(no_op)
    walks.lifecycle.insert(FIRST, after=Events.ITERATION_COMPLETED, activity=no_op_handler)
    contestants = [
        looped("plain", fsm_engine.Engine(no_op), "engine"),
        looped("walks", walks, "engine"),
        looped("calls", fsm_engine.Engine(calling_step), "engine"),
    ]
    target = Target(lambda ours, other: (ours - 60e-9) / other, 1.3)
    row = Row("a phase with an activity, less 60 ns", Cost("walks", "plain"), Cost("calls", "plain"), "a call", target)
    return Benchmark(contestants, [row])


# The phases of the supervised step


def _step_without_phases(model: Any, optimizer: Any, loss_fn: Any) -> Callable[[Any, Any], Any]:
    """Return the step of a supervised trainer with its options, but without events."""
    from fsm_engine.supervised.step_functions import loss_output, prepare_pair

    def call_model(model: Any, x: Any) -> Any:
        return model(x)

    def unchanged(y_pred: Any) -> Any:
        return y_pred

    def step(engine: Any, batch: Any) -> Any:
        if not model.training:
            model.train()
        if (engine.state.iteration - 1) % 1 == 0:
            optimizer.zero_grad()
        x, y = prepare_pair(batch, device=None, non_blocking=False)
        y_pred = unchanged(call_model(model, x))
        loss = loss_fn(y_pred, y)
        loss.backward()
        if engine.state.iteration % 1 == 0:
            optimizer.step()
        return loss_output(x, y, y_pred, loss)

    return step


def _without_phases(model: Any, optimizer: Any, loss_fn: Any) -> fsm_engine.Engine:
    return fsm_engine.Engine(_step_without_phases(model, optimizer, loss_fn))


def _observed(model: Any, optimizer: Any, loss_fn: Any) -> fsm_engine.Engine:
    trainer = fsm_engine.create_supervised_trainer(model, optimizer, loss_fn)
    for event in StepEvents:
        trainer.add_event_handler(event, no_op_handler)
    return trainer


def step_events(quick: bool) -> Benchmark:
    """Measure training of an MLP with the phases of its step observed, not observed, and removed."""
    labels = "StepEvents, not observed", "StepEvents, one handler on each"
    rows = [
        Row(labels[0], Cost("not observed"), Cost("without"), "without", at_most(1.01)),
        Row(labels[1], Cost("observed"), Cost("bare loop"), "bare loop", at_most(1.10)),
    ]
    if not installed("torch", "sklearn"):
        return Benchmark([], rows, missing="torch or scikit-learn is not installed")
    epochs, batches = 5 if quick else 50, digits_batches()
    makers = {
        "without": _without_phases,
        "not observed": fsm_engine.create_supervised_trainer,
        "observed": _observed,
    }
    units = epochs * len(batches)
    contestants = [Contestant("bare loop", lambda: bare_training(batches, epochs), units)]
    for name, create in makers.items():
        contestants.append(Contestant(name, functools.partial(engine_training, create, batches, epochs), units))
    return Benchmark(contestants, rows)


BENCHMARKS: dict[str, Callable[[bool], Benchmark]] = {
    "fired": fired_phases,
    "walked": walked_phase,
    "step-events": step_events,
}


if __name__ == "__main__":
    main(BENCHMARKS, "The cost of phases.")
