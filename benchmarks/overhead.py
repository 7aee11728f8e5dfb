"""The cost of the engine relative to a loop written by hand, to pytorch-ignite, and in a training job.

Run ``python benchmarks/overhead.py``; README.md in this folder explains the table.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from contestants import (
    ITERATIONS,
    bare_training,
    digits_batches,
    engine_training,
    engines,
    installed,
    looped,
    no_op,
    no_op_handler,
    observed_trainer,
    step_by_hand,
)
from harness import Benchmark, Contestant, Cost, Row, at_most, main, milliseconds, times_cheaper

import fsm_engine

Handler = Callable[[Any], object]

RUNS = 400
CHANGES = 400
EPOCHS_PER_TURN = 2


# The reference


class ReferenceState:
    """The counters, limits and data that `run_reference` keeps."""

    __slots__ = ("batch", "epoch", "epoch_length", "iteration", "max_epochs", "max_iters", "output")

    def __init__(self, epoch_length: int) -> None:
        self.iteration = self.epoch = 0
        self.epoch_length: int | None = epoch_length
        self.max_epochs: int | None = 1
        self.max_iters: int | None = None
        self.batch: Any = None
        self.output: Any = None


class ReferenceEngine:
    """A state, handlers, a position to resume from, and a flag that signals would set."""

    __slots__ = ("handlers", "needs_attention", "position", "state")

    def __init__(self, state: ReferenceState, handlers: tuple[Handler, ...]) -> None:
        self.state, self.handlers = state, handlers
        self.position, self.needs_attention = 0, False


def run_reference(engine: ReferenceEngine, data: Sequence[Any], step: Callable[[Any, Any], Any]) -> None:
    """Run an epoch as an engine does, written by hand for this one case."""
    state, handlers = engine.state, engine.handlers
    batches = iter(data)
    state.epoch += 1
    epoch_start = state.iteration
    while True:
        state.batch = None
        engine.position = 1
        try:
            state.batch = next(batches)
        except StopIteration:
            break
        if engine.needs_attention:
            break
        state.output = None
        state.iteration += 1
        engine.position = 2
        state.output = step(engine, state.batch)
        if engine.needs_attention:
            break
        for handler in handlers:
            handler(engine)
        # more
        if (length := state.epoch_length) is not None and state.iteration - epoch_start >= length:
            break
        if (limit := state.max_iters) is not None and state.iteration >= limit:
            break


def reference(name: str, handlers: Sequence[Handler] = (), more: str = "pass") -> Contestant:
    """Return the reference with `more` in its loop, compiled for it, because contestants would share inline caches."""
    scope = dict(globals())
    exec(inspect.getsource(run_reference).replace("# more", more), scope)
    data = [0] * ITERATIONS["reference"]

    def ready() -> Callable[[], object]:
        engine = ReferenceEngine(ReferenceState(len(data)), tuple(handlers))
        return functools.partial(scope["run_reference"], engine, data, no_op)

    return Contestant(name, ready, len(data))


def ten_handlers() -> list[Handler]:
    """Return ten handlers that do little, each with different code, as in a real program."""
    seen = [0] * 10

    def count(_engine: Any) -> None:
        seen[0] += 1

    def note(_engine: Any) -> None:
        seen[1] = 1

    def forget(_engine: Any) -> None:
        seen[2] = 0

    def swap(_engine: Any) -> None:
        seen[3], seen[4] = seen[4], seen[3]

    def last(_engine: Any) -> int:
        return seen[-1]

    def compare(_engine: Any) -> bool:
        return seen[5] < seen[6]

    def same(engine: Any) -> Any:
        return engine

    def when_set(_engine: Any) -> None:
        if seen[7]:
            seen[7] = 0

    def keep(_engine: Any) -> list[int]:
        return seen

    return [count, note, forget, swap, last, compare, same, when_set, keep, no_op_handler]


def ten_readers() -> list[Handler]:
    """Return ten handlers that read the state, each with different code."""
    return [
        lambda engine: engine.state.iteration,
        lambda engine: engine.state.epoch,
        lambda engine: engine.state.output,
        lambda engine: engine.state.batch,
        lambda engine: engine.state.epoch_length,
        lambda engine: engine.state.max_epochs,
        lambda engine: engine.state.max_iters,
        lambda engine: engine.state.iteration == 1,
        lambda engine: engine.state.output is None,
        lambda engine: engine.state.batch is None,
    ]


# The benchmarks


def no_op_loop(_quick: bool) -> Benchmark:
    """Measure an iteration with a step that does nothing."""
    contestants = [reference("reference")]
    contestants += [looped(kind, module.Engine(no_op), kind) for kind, module in engines().items()]
    label, ours = "no-op step, no handlers", Cost("engine")
    return Benchmark(
        contestants,
        [
            Row(label, ours, Cost("reference"), "reference", at_most(1.3)),
            Row(label, ours, Cost("Ignite"), "Ignite", times_cheaper(20)),
        ],
    )


def handled_loop(_quick: bool) -> Benchmark:
    """Measure an iteration with ten handlers that do not use the engine."""
    return _handled("ten handlers on ITERATION_COMPLETED", ten_handlers())


def reading_handlers(_quick: bool) -> Benchmark:
    """Measure an iteration with ten handlers that read an attribute of `engine.state`."""
    return _handled("ten handlers that read engine.state", ten_readers())


def _handled(label: str, handlers: Sequence[Handler]) -> Benchmark:
    engine = fsm_engine.Engine(no_op)
    for handler in handlers:
        engine.add_event_handler(fsm_engine.Events.ITERATION_COMPLETED, handler)
    row = Row(label, Cost("engine"), Cost("reference"), "reference", at_most(1.2))
    return Benchmark([reference("reference", handlers), looped("engine", engine, "engine")], [row])


def filtered_handler(_quick: bool) -> Benchmark:
    """Measure the time that a handler with ``every=100`` adds to an iteration."""
    plain, filtered = fsm_engine.Engine(no_op), fsm_engine.Engine(no_op)
    filtered.add_event_handler(fsm_engine.Events.ITERATION_COMPLETED(every=100), no_op_handler)
    contestants = [
        reference("reference"),
        reference("reference and if", more="if state.iteration % 100 == 0: no_op_handler(engine)"),
        looped("engine", plain, "engine"),
        looped("filtered", filtered, "engine"),
    ]
    ours, other = Cost("filtered", over="engine"), Cost("reference and if", over="reference")
    return Benchmark(contestants, [Row("added by a handler with every=100", ours, other, "bare if", at_most(5))])


def firing(handlers: Sequence[Handler], _quick: bool) -> Benchmark:
    """Measure a custom event that the step fires."""
    contestants = []
    for kind, module in engines().items():
        for fires in (False, True):
            name = f"{kind} fires" if fires else kind
            contestants.append(looped(name, _firing_engine(module, handlers, fires), kind))
    ours, other = Cost("engine fires", over="engine"), Cost("Ignite fires", over="Ignite")
    label = f"fire_event in the step, {'one handler' if handlers else 'no handler'}"
    return Benchmark(contestants, [Row(label, ours, other, "Ignite", times_cheaper(30))])


def _firing_engine(module: Any, handlers: Sequence[Handler], fires: bool) -> Any:
    custom = module.EventEnum("Custom", {"LOSS_READY": "loss_ready"}).LOSS_READY

    def step(engine: Any, _batch: Any) -> None:
        engine.fire_event(custom)

    engine = module.Engine(step if fires else no_op)
    engine.register_events(custom)
    for handler in handlers:
        engine.add_event_handler(custom, handler)
    return engine


def short_runs(_quick: bool) -> Benchmark:
    """Measure runs of one iteration: ``with add_event_handler(COMPLETED, f): run([x])``."""

    def ready(module: Any) -> Callable[[], object]:
        engine, completed, data = module.Engine(no_op), module.Events.COMPLETED, [0]

        def run() -> None:
            for _ in range(RUNS):
                with engine.add_event_handler(completed, no_op_handler):
                    engine.run(data)

        return run

    contestants = [Contestant(kind, functools.partial(ready, module), RUNS) for kind, module in engines().items()]
    row = Row("with add_event_handler(...): run([x])", Cost("engine"), Cost("Ignite"), "Ignite", at_most(1))
    return Benchmark(contestants, [row])


def changing_handlers(_quick: bool) -> Benchmark:
    """Measure an iteration whose step attaches a handler that removes itself when it is called."""

    def ready(module: Any) -> Callable[[], object]:
        handles: list[Any] = []

        def once(_engine: Any) -> None:
            handles.pop().remove()

        def step(engine: Any, _batch: Any) -> None:
            handles.append(engine.add_event_handler(module.Events.ITERATION_COMPLETED, once))

        return functools.partial(module.Engine(step).run, [0] * CHANGES)

    contestants = [Contestant(kind, functools.partial(ready, module), CHANGES) for kind, module in engines().items()]
    row = Row("a handler attached, removed per iteration", Cost("engine"), Cost("Ignite"), "Ignite", at_most(1))
    return Benchmark(contestants, [row])


def digits(quick: bool) -> Benchmark:
    """Measure training of an MLP on scikit-learn's digits."""
    hand, bare = "hand-written", "bare loop"
    rows = [
        Row("digits MLP, Engine with a hand-written step", Cost(hand), Cost(bare), bare, at_most(None)),
        Row("digits MLP, create_supervised_trainer", Cost("trainer"), Cost(hand), hand, at_most(1.015)),
        Row("the same", Cost("trainer"), Cost(bare), bare, at_most(None)),
        Row("the same, a handler on every StepEvent", Cost("observed"), Cost(bare), bare, at_most(1.06)),
        Row("create_supervised_trainer of Ignite", Cost("Ignite"), Cost(bare), bare, at_most(None)),
    ]
    if not installed("torch", "sklearn"):
        return Benchmark([], rows, missing="torch or scikit-learn is not installed")
    batches = digits_batches()
    makers: dict[str, Any] = {
        hand: step_by_hand,
        "trainer": fsm_engine.create_supervised_trainer,
        "observed": observed_trainer,
    }
    if "Ignite" in engines():
        makers["Ignite"] = importlib.import_module("ignite.engine").create_supervised_trainer
    units = EPOCHS_PER_TURN * len(batches)
    control = "the same bare loop"
    contestants = [
        Contestant(name, functools.partial(bare_training, batches, EPOCHS_PER_TURN), units) for name in (bare, control)
    ]
    contestants += [
        Contestant(name, functools.partial(engine_training, create, batches, EPOCHS_PER_TURN), units)
        for name, create in makers.items()
    ]
    return Benchmark(contestants, rows, turns=30 if quick else 120, control=(bare, control))


def importing(_quick: bool) -> Benchmark:
    """Measure an interpreter that imports the package."""
    row = Row("import fsm_engine, fresh process", Cost("import", over="pass"), Cost("pass"), "pass", milliseconds(80))
    contestants = [_process("pass", "pass"), _process("import", "import fsm_engine")]
    return Benchmark(contestants, [row], clock=time.perf_counter)


def _process(name: str, statement: str) -> Contestant:
    found_in = Path(fsm_engine.__file__).parents[1]
    path = os.pathsep.join([str(found_in), *filter(None, [os.environ.get("PYTHONPATH")])])
    call = functools.partial(
        subprocess.run, [sys.executable, "-c", statement], check=True, env={**os.environ, "PYTHONPATH": path}
    )
    return Contestant(name, lambda: call)


BENCHMARKS: dict[str, Callable[[bool], Benchmark]] = {
    "loop": no_op_loop,
    "handlers": handled_loop,
    "readers": reading_handlers,
    "filter": filtered_handler,
    "fire": functools.partial(firing, ()),
    "fire-handled": functools.partial(firing, (no_op_handler,)),
    "short-runs": short_runs,
    "changes": changing_handlers,
    "digits": digits,
    "import": importing,
}

if __name__ == "__main__":
    main(BENCHMARKS, "The cost of the engine.")
