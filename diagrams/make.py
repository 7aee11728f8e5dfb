"""Draw the lifecycles that the documents show: ``python diagrams/make.py`` writes the pictures beside itself.

The lifecycles are those of the library and of the examples, whose engines are taken at the moment when they run.
It needs what the examples need: ``pip install -e ".[examples]"``.
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

from fsm_engine import Engine, Events, Lifecycle, create_supervised_evaluator, create_supervised_trainer
from fsm_engine.render import DiagramOptions, build_diagram, compare_diagrams, render
from fsm_engine.render.formats import DIAGRAM_FORMATS
from fsm_engine.render.themes import get_theme
from fsm_engine.render.timeline import render_timeline
from fsm_engine.supervised.tbptt import create_supervised_tbptt_trainer
from fsm_engine.timeline import Timeline

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"


class Taken(Exception):  # noqa: N818  # it is no error: it ends an example whose engine was taken
    """The engine that an example was about to run."""


def of_example(name: str) -> Engine:
    """Return the engine that an example runs first."""

    @functools.wraps(Engine.run)
    def take(engine: Engine, *_args: Any, **_kwargs: Any) -> None:
        raise Taken(engine)

    with mock.patch.object(sys, "path", [str(EXAMPLES), *sys.path]), mock.patch.object(Engine, "run", take):
        main = importlib.import_module(name).main
        try:
            main([]) if main.__code__.co_argcount else main()
        except Taken as taken:
            return taken.args[0]
    raise LookupError(f"examples/{name}.py runs no engine.")


def parts() -> tuple[torch.nn.Module, torch.optim.Optimizer, torch.nn.Module]:
    """Return a small model, its optimizer and a loss."""
    model = torch.nn.Linear(2, 1)
    return model, torch.optim.SGD(model.parameters(), lr=0.1), torch.nn.MSELoss()


def drawn(lifecycle: Lifecycle, **options: Any) -> dict[str, bytes]:
    """Return the pictures of a lifecycle, by their suffix."""
    return {suffix: render(lifecycle, suffix, **options) for suffix in ("svg", "mmd")}


def second_guide() -> dict[str, bytes]:
    """Return the pictures of a trainer whose events of its own were discovered in two iterations."""
    trainer = of_example("backprop_events")
    with trainer.discover():
        trainer.run([(torch.zeros(2, 1, 32, 32), torch.zeros(2, dtype=torch.long))] * 3, max_iters=2)
    return drawn(trainer.lifecycle, title="A step that announces what it does")


def mid_run() -> dict[str, bytes]:
    """Return the pictures of a trainer, drawn by a handler while its loss is there."""
    trainer = create_supervised_trainer(*parts())
    taken: dict[str, bytes] = {}

    @trainer.on(Events.ITERATION_STARTED(once=2))
    def look(engine: Engine) -> None:
        taken.update(drawn(engine.lifecycle, title="In the second iteration"))

    trainer.run([(torch.zeros(1, 2), torch.zeros(1, 1))] * 2, max_epochs=1)
    return taken


def before_and_after() -> dict[str, bytes]:
    """Return the pictures of what the GAN changes in the lifecycle of training."""
    options = DiagramOptions("From training to a GAN")
    before, after = (
        build_diagram(lifecycle, options) for lifecycle in (Lifecycle.training(), of_example("gan").lifecycle)
    )
    both = compare_diagrams(before, after)
    return {suffix: DIAGRAM_FORMATS[suffix](both, get_theme("auto")) for suffix in ("svg", "mmd")}


class Clock:
    """The time of a run that is told how long everything takes, so that its picture is always the same."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        """Return the time in nanoseconds; to look at it takes a moment, too."""
        self.spend(0.0002)
        return self.now

    def spend(self, milliseconds: float) -> None:
        """Let time go by."""
        self.now += round(milliseconds * 1_000_000)


class Batches:
    """Batches that have to be waited for; for the first of an epoch, longer."""

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
    """Return a training that is evaluated after every epoch, and what was recorded of it."""
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

    with mock.patch("fsm_engine.timeline.recorder.perf_counter_ns", clock), trainer.record() as timeline:
        trainer.run(training, max_epochs=10)
    return trainer.lifecycle, timeline


def timeline() -> dict[str, bytes]:
    """Return the picture of a run along its time."""
    return {"svg": render_timeline(evaluated_run()[1], "svg", title="Training with evaluation after every epoch")}


def run_over_lifecycle() -> dict[str, bytes]:
    """Return the pictures of a lifecycle with that run laid over it."""
    lifecycle, timeline = evaluated_run()
    return drawn(lifecycle, title="How often a run comes where, and how long it stays", timeline=timeline)


PICTURES: dict[str, Callable[[], dict[str, bytes]]] = {
    "lifecycle": lambda: drawn(Lifecycle.training()),
    "lifecycle_guards": lambda: drawn(Lifecycle.training(), guards=True),
    "lifecycle_right": lambda: drawn(Lifecycle.training(), direction="right"),
    "evaluator": lambda: drawn(create_supervised_evaluator(parts()[0]).lifecycle, title="An evaluator"),
    "supervised": lambda: drawn(create_supervised_trainer(*parts()).lifecycle, title="A supervised trainer"),
    "backprop_events": second_guide,
    "gradient_accumulation": lambda: drawn(
        of_example("gradient_accumulation").lifecycle, title="Gradients accumulated over four iterations"
    ),
    "gan": lambda: drawn(of_example("gan").lifecycle, title="A GAN", guards=True),
    "tbptt": lambda: drawn(
        create_supervised_tbptt_trainer(*parts(), tbtt_step=2).lifecycle,
        title="Backpropagation through time, truncated",
    ),
    "train_validate": lambda: drawn(
        of_example("train_validate").lifecycle, title="An engine inside a phase of another", guards=True
    ),
    "reinforcement_learning": lambda: drawn(
        of_example("reinforcement_learning").lifecycle, title="A lifecycle of one's own", guards=True
    ),
    "recover_from_oom": lambda: drawn(of_example("recover_from_oom").lifecycle, title="Ways back from errors"),
    "mid_run": mid_run,
    "difference": before_and_after,
    "timeline": timeline,
    "run_over_lifecycle": run_over_lifecycle,
}
"""What makes each picture, by the name of its files."""


def pictures() -> Iterator[tuple[Path, bytes]]:
    """Yield the path of every picture, and what belongs there."""
    for name, make in PICTURES.items():
        with contextlib.redirect_stdout(io.StringIO()):  # the examples tell what they do
            made = make()
        yield from ((HERE / f"{name}.{suffix}", content) for suffix, content in made.items())


def main() -> None:
    """Write the pictures."""
    for path, content in pictures():
        path.write_bytes(content)


if __name__ == "__main__":
    main()
