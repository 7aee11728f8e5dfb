"""Draw the pictures of the documentation: ``python diagrams/make.py`` writes them into its own folder.

They show lifecycles of the library and of the examples. An example is run until it calls `Engine.run` for the first
time. Needs the packages of the examples: ``pip install -e ".[examples]"``.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from animation import animated
from packages import packages_svg

from fsm_engine import Engine, EventEnum, Events, Lifecycle, create_supervised_evaluator, create_supervised_trainer
from fsm_engine.render import render
from fsm_engine.render.diagram_builder import DiagramOptions, build_diagram
from fsm_engine.render.difference import compare_diagrams
from fsm_engine.render.formats import DIAGRAM_FORMATS
from fsm_engine.render.themes import get_theme
from fsm_engine.render.timeline import render_timeline
from fsm_engine.supervised.tbptt import create_supervised_tbptt_trainer
from fsm_engine.timeline import Timeline
from fsm_engine.timeline.rank import ClockReading, Rank

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"


class EngineFound(Exception):  # noqa: N818  # not an error: it ends an example
    """Carries the engine that an example was about to run."""


def engine_of_example(name: str) -> Engine:
    """Return the first engine that an example runs."""

    @functools.wraps(Engine.run)
    def stop(engine: Engine, *_args: Any, **_kwargs: Any) -> None:
        raise EngineFound(engine)

    with mock.patch.object(sys, "path", [str(EXAMPLES), *sys.path]), mock.patch.object(Engine, "run", stop):
        main = importlib.import_module(name).main
        try:
            main([]) if main.__code__.co_argcount else main()
        except EngineFound as found:
            return found.args[0]
    raise LookupError(f"examples/{name}.py runs no engine.")


def parts() -> tuple[torch.nn.Module, torch.optim.Optimizer, torch.nn.Module]:
    """Return a small model, its optimizer and a loss."""
    model = torch.nn.Linear(2, 1)
    return model, torch.optim.SGD(model.parameters(), lr=0.1), torch.nn.MSELoss()


def drawn(lifecycle: Lifecycle, **options: Any) -> dict[str, bytes]:
    """Return the SVG and the Mermaid text of a lifecycle, by suffix."""
    return {suffix: render(lifecycle, suffix, **options) for suffix in ("svg", "mmd")}


def backprop_events() -> dict[str, bytes]:
    """Draw a trainer with callback events that were discovered in two iterations."""
    trainer = engine_of_example("backprop_events")
    with trainer.discover():
        trainer.run([(torch.zeros(2, 1, 32, 32), torch.zeros(2, dtype=torch.long))] * 3, max_iters=2)
    return drawn(trainer.lifecycle, title="A step that fires callback events")


def mid_run() -> dict[str, bytes]:
    """Draw a trainer in a handler, in the middle of its run."""
    trainer = create_supervised_trainer(*parts())
    pictures: dict[str, bytes] = {}

    @trainer.on(Events.ITERATION_STARTED(once=2))
    def draw(engine: Engine) -> None:
        pictures.update(drawn(engine.lifecycle, title="A run in its second iteration"))

    trainer.run([(torch.zeros(1, 2), torch.zeros(1, 1))] * 2, max_epochs=1)
    return pictures


def difference() -> dict[str, bytes]:
    """Draw the difference between the training lifecycle and the one of the GAN example."""
    options = DiagramOptions("From training to a GAN")
    before, after = (
        build_diagram(lifecycle, options) for lifecycle in (Lifecycle.training(), engine_of_example("gan").lifecycle)
    )
    both = compare_diagrams(before, after)
    return {suffix: DIAGRAM_FORMATS[suffix](both, get_theme("auto")) for suffix in ("svg", "mmd")}


class Clock:
    """A simulated clock, so that a recorded run always has the same times."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        """Return the time in nanoseconds. Each call takes 200 nanoseconds."""
        self.spend(0.0002)
        return self.now

    def spend(self, milliseconds: float) -> None:
        """Advance the clock."""
        self.now += round(milliseconds * 1_000_000)


class Batches:
    """Data that takes simulated time to load, and longer for the first batch of an epoch."""

    def __init__(self, clock: Clock, count: int, wait: float) -> None:
        self.clock, self.count, self.wait = clock, count, wait

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        self.clock.spend(2 * self.wait)
        for number in range(self.count):
            self.clock.spend(self.wait * (1 + 0.4 * math.sin(number)))
            yield number


def evaluated_run() -> tuple[Lifecycle, Timeline]:
    """Record a training with an evaluation after every epoch; return its lifecycle and timeline."""
    clock = Clock()
    trainer = Engine(lambda _engine, batch: clock.spend(22 + math.cos(batch)))
    evaluator = Engine(lambda _engine, _batch: clock.spend(9))
    training, validation = Batches(clock, 938, 8), Batches(clock, 157, 3)

    @trainer.on(Events.ITERATION_COMPLETED)
    def log_loss() -> None:
        clock.spend(3)

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate() -> None:
        evaluator.run(validation)

    @trainer.on(Events.EPOCH_COMPLETED)
    def save_checkpoint() -> None:
        clock.spend(60)

    with mock.patch("fsm_engine.timeline.track_writer.perf_counter_ns", clock), trainer.record() as timeline:
        trainer.run(training, max_epochs=10)
    return trainer.lifecycle, timeline


class StepParts(EventEnum):
    """Parts of a step on several ranks."""

    FORWARD = "forward"
    BACKWARD = "backward"
    UPDATE = "update"


LOADS = (4.0, 5.0, 18.0)
"""How many milliseconds each rank waits for a batch. The last rank reads from a slow disk."""


def run_of_rank(rank: int) -> tuple[Lifecycle, Timeline]:
    """Record a training on one rank, which waits in the backward pass until the last rank has its batch."""
    clock = Clock()

    def step(engine: Engine, batch: int) -> None:
        engine.fire_event(StepParts.FORWARD)
        clock.spend(5)
        engine.fire_event(StepParts.BACKWARD)
        share = 1 + 0.4 * math.sin(batch) + 2 * (batch == 0)  # as in `Batches`
        clock.spend(9 + (max(LOADS) - LOADS[rank]) * share)
        engine.fire_event(StepParts.UPDATE)
        clock.spend(2)

    trainer = Engine(step)
    trainer.lifecycle.add_path(
        Events.ITERATION_STARTED
        >> StepParts.FORWARD
        >> StepParts.BACKWARD
        >> StepParts.UPDATE
        >> Events.ITERATION_COMPLETED
    )
    with mock.patch("fsm_engine.timeline.track_writer.perf_counter_ns", clock), trainer.record() as timeline:
        trainer.run(Batches(clock, 40, LOADS[rank]), max_epochs=2)
    return trainer.lifecycle, timeline


def merged_run() -> tuple[Lifecycle, Timeline]:
    """Return the lifecycle and the merged timeline of all ranks."""
    runs = [run_of_rank(rank) for rank in range(len(LOADS))]
    for rank, (_, timeline) in enumerate(runs):
        timeline.tracks[0].rank = Rank(rank, len(LOADS), "host", "run", [ClockReading(0, 0, 20_000)])
    return runs[0][0], Timeline.merge([timeline for _, timeline in runs])


def timeline_of_ranks() -> dict[str, bytes]:
    """Draw the timeline of all ranks."""
    return {"svg": render_timeline(merged_run()[1], "svg", title="Three ranks: two wait for the data of the third")}


class Busy(torch.autograd.Function):
    """Takes simulated time in the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, spend: Callable[[], None]) -> torch.Tensor:
        """Return `x`."""
        ctx.spend = spend
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Spend the time."""
        ctx.spend()
        return gradients[0], None


def supervised_rank(rank: int, loads: tuple[float, ...]) -> Timeline:
    """Record a supervised training on one rank, which waits in the backward pass until the slowest has its batch."""
    clock = Clock()
    model, optimizer, criterion = parts()

    class Network(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            clock.spend(5)
            number = int(x[0, 0])
            share = 1 + 0.4 * math.sin(number) + 2 * (number == 0)  # as in `Batches`
            wait = (max(loads) - loads[rank]) * share
            return Busy.apply(model(x), lambda: clock.spend(9 + wait))  # type: ignore[no-any-return, no-untyped-call]

    class Pairs(Batches):
        def __iter__(self) -> Iterator[Any]:
            return ((torch.full((1, 2), float(number)), torch.zeros(1, 1)) for number in super().__iter__())

    trainer = create_supervised_trainer(Network(), optimizer, criterion)
    with mock.patch("fsm_engine.timeline.track_writer.perf_counter_ns", clock), trainer.record() as timeline:
        trainer.run(Pairs(clock, 12, loads[rank]), max_epochs=2)
    timeline.tracks[0].rank = Rank(rank, len(loads), "host", "run", [ClockReading(0, 0, 20_000)])
    return timeline


def timeline_of_two_ranks() -> dict[str, bytes]:
    """Draw the timeline of a supervised training on two ranks."""
    merged = Timeline.merge([supervised_rank(rank, (4, 12)) for rank in range(2)])
    return {"svg": render_timeline(merged, "svg", title="Two ranks: rank 0 waits for the data of rank 1")}


def ranks_over_lifecycle() -> dict[str, bytes]:
    """Draw the lifecycle with the differences between the ranks."""
    lifecycle, timeline = merged_run()
    return drawn(lifecycle, title="Where the ranks differ", timeline=timeline)


def timeline() -> dict[str, bytes]:
    """Draw the timeline of that run."""
    return {"svg": render_timeline(evaluated_run()[1], "svg", title="Training with evaluation after every epoch")}


def run_over_lifecycle() -> dict[str, bytes]:
    """Draw the lifecycle with the heat map of that run."""
    lifecycle, timeline = evaluated_run()
    return drawn(lifecycle, title="Visits and time of a recorded run", timeline=timeline)


def walk_over_lifecycle() -> dict[str, bytes]:
    """Draw the main phases with the heat map of that run, and animate a short run over them."""
    lifecycle, timeline = evaluated_run()
    svg = render(lifecycle, "svg", title="A run over its lifecycle", timeline=timeline, detail="main").decode()
    walk: list[tuple[str, str]] = []
    engine = Engine(lambda _engine, _batch: None)
    with engine.observe(lambda _engine, move: walk.append((str(move.source), str(move.target)))):
        engine.run(iter(range(4)), epoch_length=2, max_epochs=2)
    (_, first), *others, (last, _) = walk
    return {"svg": animated(svg, [("initial", first), *others, (last, "final")]).encode()}


PICTURES: dict[str, Callable[[], dict[str, bytes]]] = {
    "lifecycle": lambda: drawn(Lifecycle.training()),
    "lifecycle_main": lambda: drawn(Lifecycle.training(), detail="main"),
    "lifecycle_guards": lambda: drawn(Lifecycle.training(), guards=True),
    "lifecycle_right": lambda: drawn(Lifecycle.training(), direction="right"),
    "evaluator": lambda: drawn(create_supervised_evaluator(parts()[0]).lifecycle, title="An evaluator"),
    "supervised": lambda: drawn(create_supervised_trainer(*parts()).lifecycle, title="A supervised trainer"),
    "backprop_events": backprop_events,
    "gradient_accumulation": lambda: drawn(
        engine_of_example("gradient_accumulation").lifecycle, title="Gradients accumulated over four iterations"
    ),
    "gan": lambda: drawn(engine_of_example("gan").lifecycle, title="A GAN", guards=True),
    "tbptt": lambda: drawn(
        create_supervised_tbptt_trainer(*parts(), tbtt_step=2).lifecycle,
        title="Truncated backpropagation through time",
    ),
    "train_validate": lambda: drawn(
        engine_of_example("train_validate").lifecycle, title="An engine inside a phase of another", guards=True
    ),
    "reinforcement_learning": lambda: drawn(
        engine_of_example("reinforcement_learning").lifecycle, title="A custom lifecycle", guards=True
    ),
    "recover_from_oom": lambda: drawn(engine_of_example("recover_from_oom").lifecycle, title="Recovery from errors"),
    "mid_run": mid_run,
    "difference": difference,
    "timeline": timeline,
    "run_over_lifecycle": run_over_lifecycle,
    "walk_over_lifecycle": walk_over_lifecycle,
    "timeline_of_ranks": timeline_of_ranks,
    "timeline_of_two_ranks": timeline_of_two_ranks,
    "ranks_over_lifecycle": ranks_over_lifecycle,
}
"""Functions that draw the pictures, by the name of the files."""


def pictures() -> Iterator[tuple[Path, bytes]]:
    """Yield the path and the content of every picture."""
    for name, make in PICTURES.items():
        with contextlib.redirect_stdout(io.StringIO()):  # examples print
            made = make()
        yield from ((HERE / f"{name}.{suffix}", content) for suffix, content in made.items())
    yield HERE / "packages.svg", packages_svg().encode()


def main() -> None:
    """Write all pictures."""
    for path, content in pictures():
        path.write_bytes(content)


if __name__ == "__main__":
    main()
