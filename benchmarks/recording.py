"""What recording costs: nothing when it is off, and per move and call of a handler when it is on; and profilers.

Run ``python benchmarks/recording.py``; README.md beside this file says how to read the table.
"""

from __future__ import annotations

import functools
import importlib
from array import array
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from contestants import ITERATIONS, engines, installed, looped, no_op
from turns import Contestant, Cost, Row, Work, at_most, main

import fsm_engine
from fsm_engine.timeline import Timeline

HANDLERS = 10
MOVES = 4
"""How many moves an iteration makes."""


def appended() -> Callable[[], object]:
    """Take the time and append to two arrays: the least that recording a move could be."""
    times, numbers = array("q"), array("q")

    def append() -> None:
        time, number, now = times.append, numbers.append, perf_counter_ns
        for _ in range(ITERATIONS["engine"]):
            time(now())
            number(1)

    return append


def looping() -> Callable[[], object]:
    """Loop, and do nothing."""

    def loop() -> None:
        for _ in range(ITERATIONS["engine"]):
            pass

    return loop


UNIT = [
    Contestant("loop", looping, ITERATIONS["engine"]),
    Contestant("appends", appended, ITERATIONS["engine"]),
]


def recorded(name: str, engine: Any, handlers: bool = True, every: int = 1) -> Contestant:
    """Let `engine` run one epoch while it is recorded."""
    data = [0] * ITERATIONS["engine"]

    def ready() -> Callable[[], object]:
        timeline = Timeline()

        def run() -> None:
            with engine.record(timeline, handlers=handlers, every=every):
                engine.run(data)

        return run

    return Contestant(name, ready, len(data))


def with_handlers(library: Any) -> Any:
    """Return an engine with ten handlers, each a function with code of its own."""
    engine = library.Engine(no_op)
    for number in range(HANDLERS):
        scope: dict[str, Any] = {}
        exec(f"def handler_{number}(engine):\n    pass", scope)
        engine.add_event_handler(library.Events.ITERATION_COMPLETED, scope[f"handler_{number}"])
    return engine


def off(_quick: bool) -> Work:
    """Compare an engine that was recorded with one that never was."""
    never, before = fsm_engine.Engine(no_op), fsm_engine.Engine(no_op)
    with before.record():
        before.run([0])
    contestants = [looped("never", never, "engine"), looped("before", before, "engine")]
    return Work(contestants, [Row("recording off", Cost("before"), Cost("never"), "never on", at_most(1.02))])


def moves(_quick: bool) -> Work:
    """Compare what a recorded move costs with the unit."""
    contestants = [
        *UNIT,
        looped("plain", fsm_engine.Engine(no_op), "engine"),
        recorded("recorded", fsm_engine.Engine(no_op)),
    ]
    ours = Cost("recorded", over="plain", per=MOVES)
    return Work(contestants, [Row("a recorded move", ours, Cost("appends", over="loop"), "appends", at_most(4))])


def spans(_quick: bool) -> Work:
    """Compare what a recorded call of a handler costs with the unit."""
    contestants = [
        *UNIT,
        recorded("moves only", with_handlers(fsm_engine), handlers=False),
        recorded("with calls", with_handlers(fsm_engine)),
    ]
    ours = Cost("with calls", over="moves only", per=HANDLERS)
    row = Row("a recorded call of a handler", ours, Cost("appends", over="loop"), "appends", at_most(2))
    return Work(contestants, [row])


def sampled(_quick: bool) -> Work:
    """Compare what recording one iteration in 100 adds to each with what recording all of them adds."""
    contestants = [
        looped("plain", fsm_engine.Engine(no_op), "engine"),
        recorded("all", fsm_engine.Engine(no_op)),
        recorded("one in 100", fsm_engine.Engine(no_op), every=100),
        looped("plain, handlers", with_handlers(fsm_engine), "engine"),
        recorded("all, handlers", with_handlers(fsm_engine)),
        recorded("one in 100, handlers", with_handlers(fsm_engine), every=100),
    ]
    rows = [
        Row(f"every=100{what}", Cost(f"one in 100{what}", over=base), Cost(f"all{what}", over=base), "every=1", mark)
        for what, base, mark in (("", "plain", at_most(0.4)), (", handlers", "plain, handlers", at_most(0.3)))
    ]
    return Work(contestants, rows)


def profiled(name: str, library: Any, profilers: Any, kind: str, handlers: bool) -> list[Contestant]:
    """Let an engine of `library` run with a profiler, and without one."""
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


def profilers(kind: str, handlers: bool, limit: float, _quick: bool) -> Work:
    """Compare what a profiler adds to an iteration with what Ignite's adds."""
    ours = Cost("ours profiled", over="ours plain")
    work = f"{kind}{', ten handlers' if handlers else ''}"
    row = Row(work, ours, Cost("Ignite profiled", over="Ignite plain"), "Ignite", at_most(limit))
    if not installed("torch"):
        return Work([], [row], missing="torch is not installed")
    contestants = profiled("ours", fsm_engine, importlib.import_module("fsm_engine.handlers"), kind, handlers)
    if "Ignite" in engines():
        theirs = importlib.import_module("ignite.handlers")
        contestants += profiled("Ignite", engines()["Ignite"], theirs, kind, handlers)
    return Work(contestants, [row])


WORKS: dict[str, Callable[[bool], Work]] = {
    "off": off,
    "moves": moves,
    "spans": spans,
    "sampled": sampled,
    "handlers-profiler": functools.partial(profilers, "HandlersTimeProfiler", True, 0.5),
    "basic-profiler": functools.partial(profilers, "BasicTimeProfiler", False, 0.1),
}


if __name__ == "__main__":
    main(WORKS, "What recording costs.")
