"""What the engine costs: beside a loop fused by hand, beside pytorch-ignite, and in a real job.

Run ``python benchmarks/overhead.py``; README.md beside this file says how to read the table.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import importlib.util
import inspect
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsm_engine

Times = Mapping[str, float]
Handler = Callable[[Any], object]

# Work is cut into pieces of some tens of milliseconds, so that a noisy moment hits all contestants of a round.
ITERATIONS = {"reference": 100_000, "engine": 100_000, "Ignite": 4_000}
RUNS = 400
CHANGES = 400
BATCH_SIZE = 64


# How contestants are measured


@dataclass(frozen=True)
class Contestant:
    """One of those that do the same work.

    Attributes:
        ready: makes everything afresh, untimed, and returns the call that is timed.
        units: how many iterations, or runs, that call makes.
    """

    name: str
    ready: Callable[[], Callable[[], object]]
    units: int = 1


@dataclass(frozen=True)
class Cost:
    """What a contestant takes per unit, or what it takes more than another one."""

    of: str
    over: str | None = None

    @property
    def needs(self) -> set[str]:
        """The names of the contestants."""
        return {self.of} if self.over is None else {self.of, self.over}

    def __call__(self, times: Times) -> float:
        """Return the seconds of one round."""
        return times[self.of] - (0.0 if self.over is None else times[self.over])


@dataclass(frozen=True)
class Mark:
    """What is aimed at: the figure, computed from our seconds and the others', at most or at least `limit`."""

    figure: Callable[[float, float], float]
    limit: float | None
    at_least: bool = False
    unit: str = ""

    def __str__(self) -> str:
        return "" if self.limit is None else f"{'>=' if self.at_least else '<='} {self.limit:g}{self.unit}"

    def met(self, figure: float) -> str:
        """Say whether `figure` is as good as it should be."""
        if self.limit is None:
            return ""
        return "yes" if (figure >= self.limit if self.at_least else figure <= self.limit) else "NO"


@dataclass(frozen=True)
class Row:
    """A line of the table: two costs of the same round, and what is made of them."""

    work: str
    ours: Cost
    other: Cost
    other_name: str
    mark: Mark


@dataclass(frozen=True)
class Work:
    """Contestants that take turns, and the lines of the table that come of it."""

    contestants: Sequence[Contestant]
    rows: Sequence[Row]
    clock: Callable[[], float] = time.process_time
    missing: str = "pytorch-ignite is not installed"

    def can_tell(self, row: Row) -> bool:
        """Say whether all contestants that `row` needs are there; if not, `missing` says why."""
        return row.ours.needs | row.other.needs <= {contestant.name for contestant in self.contestants}


def at_most(limit: float | None) -> Mark:
    """Aim at costs of at most `limit` times the other's; None shows the ratio and aims at nothing."""
    return Mark(lambda ours, other: ours / other, limit)


def times_cheaper(limit: float) -> Mark:
    """Aim at costs that the other's are `limit` times of."""
    return Mark(lambda ours, other: other / ours, limit, at_least=True)


def milliseconds(limit: float) -> Mark:
    """Aim at costs of at most `limit` ms, whatever the other's are."""
    return Mark(lambda ours, _other: ours * 1e3, limit, unit=" ms")


def measure(work: Work, rounds: int) -> list[dict[str, float]]:
    """Let the contestants take turns, and return the seconds per unit of each round; one more round warms up."""
    gc.freeze()  # what is there by now need not be looked through before each measurement
    times = [
        {one.name: _timed(one.ready(), work.clock) / one.units for one in work.contestants} for _ in range(rounds + 1)
    ]
    gc.unfreeze()
    return times[1:]


def _timed(call: Callable[[], object], clock: Callable[[], float]) -> float:
    gc.collect()
    gc.disable()
    try:
        start = clock()
        call()
        return clock() - start
    finally:
        gc.enable()


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
    """A state, handlers, a position that could be resumed from, and a flag that somebody could set to stop it."""

    __slots__ = ("at", "attention", "handlers", "state")

    def __init__(self, state: ReferenceState, handlers: tuple[Handler, ...]) -> None:
        self.state, self.handlers = state, handlers
        self.at, self.attention = 0, False


def run_reference(engine: ReferenceEngine, data: Sequence[Any], step: Callable[[Any, Any], Any]) -> None:
    """Do what an engine does, as it would be written by hand for this one case, around an epoch."""
    state, handlers = engine.state, engine.handlers
    batches = iter(data)
    state.epoch += 1
    epoch_start = state.iteration
    while True:
        state.batch = None
        engine.at = 1
        try:
            state.batch = next(batches)
        except StopIteration:
            break
        if engine.attention:
            break
        state.output = None
        state.iteration += 1
        engine.at = 2
        state.output = step(engine, state.batch)
        if engine.attention:
            break
        for handler in handlers:
            handler(engine)
        # more
        if (length := state.epoch_length) is not None and state.iteration - epoch_start >= length:
            break
        if (limit := state.max_iters) is not None and state.iteration >= limit:
            break


def reference(name: str, handlers: Sequence[Handler] = (), more: str = "pass") -> Contestant:
    """Return the reference with `more` in its loop, compiled for this contestant: nobody else trains its caches."""
    scope = dict(globals())
    exec(inspect.getsource(run_reference).replace("# more", more), scope)
    data = [0] * ITERATIONS["reference"]

    def ready() -> Callable[[], object]:
        engine = ReferenceEngine(ReferenceState(len(data)), tuple(handlers))
        return functools.partial(scope["run_reference"], engine, data, no_op)

    return Contestant(name, ready, len(data))


# Engines: ours and Ignite, which are used alike


def engines() -> dict[str, Any]:
    """Return the modules with `Engine` and `Events`, by the names of their contestants."""
    found: dict[str, Any] = {"engine": fsm_engine}
    if installed("ignite", "torch"):
        found["Ignite"] = importlib.import_module("ignite.engine")
    return found


def installed(*modules: str) -> bool:
    """Say whether all of these could be imported, without importing them."""
    return all(importlib.util.find_spec(module) for module in modules)


def looped(name: str, engine: Any, kind: str) -> Contestant:
    """Let `engine` run one epoch."""
    data = [0] * ITERATIONS[kind]
    return Contestant(name, lambda: functools.partial(engine.run, data), len(data))


def no_op(_engine: Any, _batch: Any) -> None:
    """Do nothing, as a step."""


def no_op_handler(_engine: Any) -> None:
    """Do nothing, as a handler."""


def ten_handlers() -> list[Handler]:
    """Return handlers with little to do, each with code of its own, as those of a real program have."""
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
    """Return handlers with code of their own that read the state."""
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


# The works


def no_op_loop(_quick: bool) -> Work:
    """An iteration in which nothing is to be done."""
    contestants = [reference("reference")]
    contestants += [looped(kind, module.Engine(no_op), kind) for kind, module in engines().items()]
    work, ours = "no-op step, no handlers", Cost("engine")
    return Work(
        contestants,
        [
            Row(work, ours, Cost("reference"), "reference", at_most(1.3)),
            Row(work, ours, Cost("Ignite"), "Ignite", times_cheaper(20)),
        ],
    )


def handled_loop(_quick: bool) -> Work:
    """An iteration with ten handlers of which none looks at the engine."""
    return _handled("ten handlers on ITERATION_COMPLETED", ten_handlers())


def reading_handlers(_quick: bool) -> Work:
    """An iteration with ten handlers that do nothing but read an attribute of `engine.state`."""
    return _handled("ten handlers that read engine.state", ten_readers())


def _handled(work: str, handlers: Sequence[Handler]) -> Work:
    engine = fsm_engine.Engine(no_op)
    for handler in handlers:
        engine.add_event_handler(fsm_engine.Events.ITERATION_COMPLETED, handler)
    row = Row(work, Cost("engine"), Cost("reference"), "reference", at_most(1.2))
    return Work([reference("reference", handlers), looped("engine", engine, "engine")], [row])


def filtered_handler(_quick: bool) -> Work:
    """What a handler that is called every 100 iterations adds to one."""
    plain, filtered = fsm_engine.Engine(no_op), fsm_engine.Engine(no_op)
    filtered.add_event_handler(fsm_engine.Events.ITERATION_COMPLETED(every=100), no_op_handler)
    contestants = [
        reference("reference"),
        reference("reference and if", more="if state.iteration % 100 == 0: no_op_handler(engine)"),
        looped("engine", plain, "engine"),
        looped("filtered", filtered, "engine"),
    ]
    ours, other = Cost("filtered", over="engine"), Cost("reference and if", over="reference")
    return Work(contestants, [Row("added by a handler with every=100", ours, other, "bare if", at_most(5))])


def firing(handlers: Sequence[Handler], _quick: bool) -> Work:
    """What an event of the user's costs that the step fires."""
    contestants = []
    for kind, module in engines().items():
        for fires in (False, True):
            name = f"{kind} fires" if fires else kind
            contestants.append(looped(name, _firing_engine(module, handlers, fires), kind))
    ours, other = Cost("engine fires", over="engine"), Cost("Ignite fires", over="Ignite")
    work = f"fire_event in the step, {'one handler' if handlers else 'no handler'}"
    return Work(contestants, [Row(work, ours, other, "Ignite", times_cheaper(25))])


def _firing_engine(module: Any, handlers: Sequence[Handler], fires: bool) -> Any:
    custom = module.EventEnum("Custom", {"LOSS_READY": "loss_ready"}).LOSS_READY

    def step(engine: Any, _batch: Any) -> None:
        engine.fire_event(custom)

    engine = module.Engine(step if fires else no_op)
    engine.register_events(custom)
    for handler in handlers:
        engine.add_event_handler(custom, handler)
    return engine


def short_runs(_quick: bool) -> Work:
    """Runs of one iteration, each with a handler of its own: ``with add_event_handler(COMPLETED, f): run([x])``."""

    def ready(module: Any) -> Callable[[], object]:
        engine, completed, data = module.Engine(no_op), module.Events.COMPLETED, [0]

        def run() -> None:
            for _ in range(RUNS):
                with engine.add_event_handler(completed, no_op_handler):
                    engine.run(data)

        return run

    contestants = [Contestant(kind, functools.partial(ready, module), RUNS) for kind, module in engines().items()]
    row = Row("with add_event_handler(...): run([x])", Cost("engine"), Cost("Ignite"), "Ignite", at_most(1))
    return Work(contestants, [row])


def changing_handlers(_quick: bool) -> Work:
    """An iteration whose step attaches a handler to ITERATION_COMPLETED that removes itself when it is called."""

    def ready(module: Any) -> Callable[[], object]:
        handles: list[Any] = []

        def once(_engine: Any) -> None:
            handles.pop().remove()

        def step(engine: Any, _batch: Any) -> None:
            handles.append(engine.add_event_handler(module.Events.ITERATION_COMPLETED, once))

        return functools.partial(module.Engine(step).run, [0] * CHANGES)

    contestants = [Contestant(kind, functools.partial(ready, module), CHANGES) for kind, module in engines().items()]
    row = Row("a handler attached, removed per iteration", Cost("engine"), Cost("Ignite"), "Ignite", at_most(1))
    return Work(contestants, [row])


def digits(quick: bool) -> Work:
    """Train an MLP on scikit-learn's digits."""
    if not installed("torch", "sklearn"):
        return Work([], [_digits_row("engine", 1.05)], missing="torch or scikit-learn is not installed")
    epochs = 5 if quick else 50
    batches = _digits_batches()
    trainers = {"engine": "fsm_engine.supervised", "Ignite": "ignite.engine"}
    contestants = [Contestant("bare loop", lambda: _bare_training(batches, epochs), epochs * len(batches))]
    for kind in engines():
        create = importlib.import_module(trainers[kind]).create_supervised_trainer
        ready = functools.partial(_engine_training, create, batches, epochs)
        contestants.append(Contestant(kind, ready, epochs * len(batches)))
    return Work(contestants, [_digits_row("engine", 1.05), _digits_row("Ignite", None)])


def _digits_row(kind: str, limit: float | None) -> Row:
    work = "digits MLP, create_supervised_trainer" + ("" if kind == "engine" else f" of {kind}")
    return Row(work, Cost(kind), Cost("bare loop"), "bare loop", at_most(limit))


def _digits_batches() -> list[tuple[Any, Any]]:
    import torch
    from sklearn.datasets import load_digits

    torch.set_num_threads(1)
    data = load_digits()
    x, y = torch.tensor(data.data / 16.0, dtype=torch.float32), torch.tensor(data.target)
    return list(zip(x.split(BATCH_SIZE), y.split(BATCH_SIZE)))


def _digits_model() -> tuple[Any, Any, Any]:
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    return model, torch.optim.SGD(model.parameters(), lr=0.1), torch.nn.CrossEntropyLoss()


def _bare_training(batches: list[tuple[Any, Any]], epochs: int) -> Callable[[], object]:
    model, optimizer, loss_fn = _digits_model()

    def train() -> float:
        output = 0.0
        model.train()
        for _ in range(epochs):
            for x, y in batches:
                optimizer.zero_grad()
                loss = loss_fn(model(x), y)
                loss.backward()
                optimizer.step()
                output = loss.item()
        return output

    return train


def _engine_training(create: Any, batches: list[tuple[Any, Any]], epochs: int) -> Callable[[], object]:
    return functools.partial(create(*_digits_model()).run, batches, max_epochs=epochs)


def importing(_quick: bool) -> Work:
    """Start an interpreter that imports the package."""
    row = Row("import fsm_engine, fresh process", Cost("import", over="pass"), Cost("pass"), "pass", milliseconds(80))
    contestants = [_process("pass", "pass"), _process("import", "import fsm_engine")]
    return Work(contestants, [row], clock=time.perf_counter)


def _process(name: str, statement: str) -> Contestant:
    found_in = Path(fsm_engine.__file__).parents[1]
    path = os.pathsep.join([str(found_in), *filter(None, [os.environ.get("PYTHONPATH")])])
    call = functools.partial(
        subprocess.run, [sys.executable, "-c", statement], check=True, env={**os.environ, "PYTHONPATH": path}
    )
    return Contestant(name, lambda: call)


WORKS: dict[str, Callable[[bool], Work]] = {
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


# The table

LINE = "{:<46}{:>12}{:>12} {:<10}{:>8}{:>16}  {:<9}{:<4}"


def line(row: Row, rounds: Sequence[Times]) -> str:
    """Write the row: medians over the rounds, and the half of the rounds' figures that is in the middle."""
    ours, other = [row.ours(times) for times in rounds], [row.other(times) for times in rounds]
    figures = [row.mark.figure(mine, others) for mine, others in zip(ours, other)]
    low, middle, high = statistics.quantiles(figures, n=4)
    shown = [readable(statistics.median(seconds)) for seconds in (ours, other)]
    spread = f"{rounded(low)} .. {rounded(high)}"
    return LINE.format(row.work, *shown, row.other_name, rounded(middle), spread, str(row.mark), row.mark.met(middle))


def readable(seconds: float) -> str:
    """Write a time with the unit that suits it."""
    for factor, unit in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms")):
        if abs(seconds) * factor < 10_000:
            return f"{seconds * factor:,.0f} {unit}" if unit == "ns" else f"{seconds * factor:,.1f} {unit}"
    return f"{seconds:,.2f} s"


def rounded(figure: float) -> str:
    """Write a figure of the table."""
    return f"{figure:.2f}" if abs(figure) < 10 else f"{figure:.1f}"


def report(name: str, quick: bool, rounds: int) -> None:
    """Measure one work and print its rows."""
    work = WORKS[name](quick)
    rows = [row for row in work.rows if work.can_tell(row)]
    times = measure(work, rounds) if rows else []
    for row in work.rows:
        print(line(row, times) if row in rows else f"{row.work:<46} skipped: {work.missing}", flush=True)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, help="rounds per work (default: 31; 7 with --quick)")
    parser.add_argument("--only", action="append", choices=list(WORKS), metavar="NAME", help=", ".join(WORKS))
    parser.add_argument("--quick", action="store_true", help="few rounds and epochs: rough, within a minute")
    given = parser.parse_args()
    rounds = max(given.rounds or (7 if given.quick else 31), 2)
    print(f"Python {platform.python_version()}, {platform.machine()}; medians of {rounds} rounds, CPU time per unit\n")
    print(LINE.format("work", "ours", "other", "", "ratio", "middle half", "mark", "met"))
    for name in given.only or WORKS:
        report(name, given.quick, rounds)


if __name__ == "__main__":
    main()
