"""The cost of recording, when it is off and per recorded move and handler call, and of the profilers.

Run ``python benchmarks/recording.py``; README.md in this folder explains the table.
"""

from __future__ import annotations

import functools
import importlib
from array import array
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from contestants import ITERATIONS, engines, installed, looped, no_op
from harness import Benchmark, Contestant, Cost, Row, at_most, main

import fsm_engine
from fsm_engine.timeline import Timeline

HANDLERS = 10
MOVES = 4
"""Moves per iteration."""


def appended() -> Callable[[], object]:
    """Return a loop that reads the clock and appends to two arrays, the lower bound of the cost of a recorded move."""
    times, numbers = array("q"), array("q")

    def append() -> None:
        time, number, now = times.append, numbers.append, perf_counter_ns
        for _ in range(ITERATIONS["engine"]):
            time(now())
            number(1)

    return append


def looping() -> Callable[[], object]:
    """Return an empty loop."""

    def loop() -> None:
        for _ in range(ITERATIONS["engine"]):
            pass

    return loop


UNIT = [
    Contestant("loop", looping, ITERATIONS["engine"]),
    Contestant("appends", appended, ITERATIONS["engine"]),
]


def recorded(name: str, engine: Any, handlers: bool = True, every: int = 1) -> Contestant:
    """Return a contestant that runs one epoch of `engine` while recording it."""
    data = [0] * ITERATIONS["engine"]

    def ready() -> Callable[[], object]:
        timeline = Timeline()

        def run() -> None:
            with engine.record(timeline, handlers=handlers, every=every):
                engine.run(data)

        return run

    return Contestant(name, ready, len(data))


def with_handlers(library: Any) -> Any:
    """Return an engine with ten handlers, each a different function."""
    engine = library.Engine(no_op)
    for number in range(HANDLERS):
        scope: dict[str, Any] = {}
        exec(f"def handler_{number}(engine):\n    pass", scope)
        engine.add_event_handler(library.Events.ITERATION_COMPLETED, scope[f"handler_{number}"])
    return engine


def off(_quick: bool) -> Benchmark:
    """Measure an engine that was recorded before, relative to an engine that never was."""
    never, before = fsm_engine.Engine(no_op), fsm_engine.Engine(no_op)
    with before.record():
        before.run([0])
    contestants = [looped("never", never, "engine"), looped("before", before, "engine")]
    return Benchmark(contestants, [Row("recording off", Cost("before"), Cost("never"), "never on", at_most(1.02))])


def moves(_quick: bool) -> Benchmark:
    """Measure a recorded move."""
    contestants = [
        *UNIT,
        looped("plain", fsm_engine.Engine(no_op), "engine"),
        recorded("recorded", fsm_engine.Engine(no_op)),
    ]
    ours = Cost("recorded", over="plain", per=MOVES)
    return Benchmark(contestants, [Row("a recorded move", ours, Cost("appends", over="loop"), "appends", at_most(4))])


def spans(_quick: bool) -> Benchmark:
    """Measure a recorded call of a handler."""
    contestants = [
        *UNIT,
        recorded("moves only", with_handlers(fsm_engine), handlers=False),
        recorded("with calls", with_handlers(fsm_engine)),
    ]
    ours = Cost("with calls", over="moves only", per=HANDLERS)
    row = Row("a recorded call of a handler", ours, Cost("appends", over="loop"), "appends", at_most(2))
    return Benchmark(contestants, [row])


def sampled(_quick: bool) -> Benchmark:
    """Measure recording of one iteration in 100, relative to recording of all."""
    contestants = [
        looped("plain", fsm_engine.Engine(no_op), "engine"),
        recorded("all", fsm_engine.Engine(no_op)),
        recorded("one in 100", fsm_engine.Engine(no_op), every=100),
        looped("plain, handlers", with_handlers(fsm_engine), "engine"),
        recorded("all, handlers", with_handlers(fsm_engine)),
        recorded("one in 100, handlers", with_handlers(fsm_engine), every=100),
    ]
    rows = [
        Row(f"every=100{what}", Cost(f"one in 100{what}", over=base), Cost(f"all{what}", over=base), "every=1", target)
        for what, base, target in (("", "plain", at_most(0.4)), (", handlers", "plain, handlers", at_most(0.3)))
    ]
    return Benchmark(contestants, rows)


def profiled(name: str, library: Any, profilers: Any, kind: str, handlers: bool) -> list[Contestant]:
    """Return contestants that run an engine of `library` with and without a profiler."""
    size = ITERATIONS["Ignite" if library is not fsm_engine else "engine"]

    def ready(with_profiler: bool) -> Callable[[], object]:
        engine = with_handlers(library) if handlers else library.Engine(no_op)
        if with_profiler:
            getattr(profilers, kind)().attach(engine)
        return functools.partial(engine.run, [0] * size)

    return [
        Contestant(f"{name} profiled", functools.partial(ready, True), size),
        Contestant(f"{name} plain", functools.partial(ready, False), size),
    ]


def profilers(kind: str, handlers: bool, limit: float, _quick: bool) -> Benchmark:
    """Measure the time that a profiler adds to an iteration, relative to the profiler of Ignite."""
    ours = Cost("ours profiled", over="ours plain")
    label = f"{kind}{', ten handlers' if handlers else ''}"
    row = Row(label, ours, Cost("Ignite profiled", over="Ignite plain"), "Ignite", at_most(limit))
    if not installed("torch"):
        return Benchmark([], [row], missing="torch is not installed")
    contestants = profiled("ours", fsm_engine, importlib.import_module("fsm_engine.handlers"), kind, handlers)
    if "Ignite" in engines():
        theirs = importlib.import_module("ignite.handlers")
        contestants += profiled("Ignite", engines()["Ignite"], theirs, kind, handlers)
    return Benchmark(contestants, [row])


BENCHMARKS: dict[str, Callable[[bool], Benchmark]] = {
    "off": off,
    "moves": moves,
    "spans": spans,
    "sampled": sampled,
    "handlers-profiler": functools.partial(profilers, "HandlersTimeProfiler", True, 0.5),
    "basic-profiler": functools.partial(profilers, "BasicTimeProfiler", False, 0.1),
}


if __name__ == "__main__":
    main(BENCHMARKS, "The cost of recording.")
