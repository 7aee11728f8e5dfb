"""What handlers cost: those that most runs have, all at once, and how long a save in the background holds a run up.

Run ``python benchmarks/handlers.py``; README.md beside this file says how to read the table.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import io
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from contestants import bare_training, digits_batches, digits_model, engines, installed, no_op
from turns import Contestant, Cost, Row, Work, at_most, main

import fsm_engine

LEFT = ExitStack()
"""What the last contestant has left open: files and threads. The next one closes it before its time begins."""
atexit.register(LEFT.close)

EPOCHS = 50
"""About a second: in a shorter run, bars are not held back yet by how often they may be drawn."""

LAYERS, WIDTH = 24, 1024
"""A model of 100 MB."""


def folder() -> Path:
    """Return a folder that is gone when the next contestant gets ready."""
    return Path(LEFT.enter_context(tempfile.TemporaryDirectory()))


# All handlers at once


def never(_engine: Any, _event: int) -> bool:
    """Let no handler be called: what is measured saves nothing."""
    return False


def attach_all(library: str, trainer: Any, events: Any, model: Any) -> None:
    """Attach what shows, averages, stops, saves and logs, from the modules that `library` has under the same names."""
    handlers = importlib.import_module(f"{library}.handlers")
    average = importlib.import_module(f"{library}.metrics").RunningAverage(output_transform=float)
    average.attach(trainer, "loss")
    handlers.ProgressBar(file=io.StringIO()).attach(trainer, ["loss"])
    stopping = handlers.EarlyStopping(10**6, lambda engine: -engine.state.metrics["loss"], trainer)
    trainer.add_event_handler(events.EPOCH_COMPLETED, stopping)
    saving = handlers.Checkpoint({"model": model, "trainer": trainer}, str(folder()), n_saved=2)
    trainer.add_event_handler(events.ITERATION_COMPLETED(event_filter=never), saving)
    logger = LEFT.enter_context(handlers.TensorboardLogger(log_dir=str(folder())))
    logger.attach_output_handler(trainer, events.ITERATION_COMPLETED(every=100), tag="training", metric_names=["loss"])


def training(library: str, module: Any, batches: list[tuple[Any, Any]]) -> Callable[[], object]:
    """Return the run of a supervised trainer with all of them."""
    LEFT.close()
    model, optimizer, loss_fn = digits_model()
    trainer = module.create_supervised_trainer(model, optimizer, loss_fn)
    attach_all(library, trainer, module.Events, model)
    return functools.partial(trainer.run, batches, max_epochs=EPOCHS)


def all_at_once(_quick: bool) -> Work:
    """Train an MLP on scikit-learn's digits with the handlers that most runs have."""
    work = "ProgressBar, RunningAverage and three more"
    ours = Row(work, Cost("engine"), Cost("bare loop"), "bare loop", at_most(1.15))
    added = Row(
        "what engine and handlers add",
        Cost("engine", over="bare loop"),
        Cost("Ignite", over="bare loop"),
        "Ignite",
        at_most(None),
    )
    if not installed("torch", "sklearn", "tqdm", "tensorboard"):
        return Work([], [ours, added], missing="torch, scikit-learn, tqdm or tensorboard is not installed")
    batches = digits_batches()
    units = EPOCHS * len(batches)
    contestants = [Contestant("bare loop", lambda: bare_training(batches, EPOCHS), units)]
    for name, module in engines().items():
        library = module.__name__.partition(".")[0]
        contestants.append(Contestant(name, functools.partial(training, library, module, batches), units))
    return Work(contestants, [ours, added])


# Saving in the background


def copying(model: Any) -> Callable[[], object]:
    """Copy the tensors of `model` to the host's memory: the least that a run has to wait for."""
    LEFT.close()
    copies: list[Any] = []

    def copy() -> None:
        copies.append([tensor.to("cpu", copy=True) for tensor in model.state_dict().values()])

    return copy


def running(model: Any, saves: bool) -> Callable[[], object]:
    """Run for one iteration, after which `model` is saved, or not."""
    from fsm_engine.handlers import Checkpoint

    LEFT.close()
    engine = fsm_engine.Engine(no_op)
    if saves:
        checkpoint = Checkpoint({"model": model}, folder(), background=True)
        LEFT.callback(checkpoint.wait)
        engine.add_event_handler(fsm_engine.Events.ITERATION_COMPLETED, checkpoint)
    return functools.partial(engine.run, [0])


def background(_quick: bool) -> Work:
    """Compare how long a save in the background holds a run up with a copy of what is saved."""
    ours = Cost("saving", over="not saving")
    row = Row("Checkpoint(background=True), 100 MB", ours, Cost("copying"), "a copy", at_most(1.2))
    if not installed("torch"):
        return Work([], [row], missing="torch is not installed")
    from torch import nn

    model = nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS)))
    contestants = [
        Contestant("copying", functools.partial(copying, model)),
        Contestant("not saving", functools.partial(running, model, False)),
        Contestant("saving", functools.partial(running, model, True)),
    ]
    return Work(contestants, [row], clock=time.perf_counter)


WORKS: dict[str, Callable[[bool], Work]] = {"all": all_at_once, "background": background}


if __name__ == "__main__":
    main(WORKS, "What handlers cost.")
