"""The cost of phases: fired by a step, and entered by the engine.

Run ``python benchmarks/phases.py``; README.md in this folder explains the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contestants import engines, looped, no_op, no_op_handler
from harness import Benchmark, Cost, Row, Target, at_most, main, times_cheaper

import fsm_engine
from fsm_engine import EventEnum, Events


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


BENCHMARKS: dict[str, Callable[[bool], Benchmark]] = {
    "fired": fired_phases,
    "walked": walked_phase,
}


if __name__ == "__main__":
    main(BENCHMARKS, "The cost of phases.")
