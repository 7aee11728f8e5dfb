"""The cost of the handlers that most runs have, and of a checkpoint that is saved in the background.

Run ``python benchmarks/handlers.py``; README.md in this folder explains the table.
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
from harness import Benchmark, Contestant, Cost, Row, at_most, main

import fsm_engine

RESOURCES = ExitStack()
"""Open files and threads of the last contestant; the next contestant closes them before it is timed."""
atexit.register(RESOURCES.close)

EPOCHS = 50
"""Enough for about a second: in shorter runs, the limit on redraws of a progress bar has no effect."""

LAYERS, WIDTH = 24, 1024
"""The size of a model of 100 MB."""


def folder() -> Path:
    """Return a temporary folder, which is removed before the next contestant is timed."""
    return Path(RESOURCES.enter_context(tempfile.TemporaryDirectory()))


# All handlers at once


def never(_engine: Any, _event: int) -> bool:
    """An event filter that is always false, so that the checkpoint is attached but not saved."""
    return False


def attach_all(library: str, trainer: Any, events: Any, model: Any) -> None:
    """Attach progress bar, running average, early stopping, checkpoint and logger of `library` to `trainer`."""
    handlers = importlib.import_module(f"{library}.handlers")
    average = importlib.import_module(f"{library}.metrics").RunningAverage(output_transform=float)
    average.attach(trainer, "loss")
    handlers.ProgressBar(file=io.StringIO()).attach(trainer, ["loss"])
    stopping = handlers.EarlyStopping(10**6, lambda engine: -engine.state.metrics["loss"], trainer)
    trainer.add_event_handler(events.EPOCH_COMPLETED, stopping)
    saving = handlers.Checkpoint({"model": model, "trainer": trainer}, str(folder()), n_saved=2)
    trainer.add_event_handler(events.ITERATION_COMPLETED(event_filter=never), saving)
    logger = RESOURCES.enter_context(handlers.TensorboardLogger(log_dir=str(folder())))
    logger.attach_output_handler(trainer, events.ITERATION_COMPLETED(every=100), tag="training", metric_names=["loss"])


def training(library: str, module: Any, batches: list[tuple[Any, Any]]) -> Callable[[], object]:
    """Return a call that runs a supervised trainer with all handlers."""
    RESOURCES.close()
    model, optimizer, loss_fn = digits_model()
    trainer = module.create_supervised_trainer(model, optimizer, loss_fn)
    attach_all(library, trainer, module.Events, model)
    return functools.partial(trainer.run, batches, max_epochs=EPOCHS)


def all_at_once(_quick: bool) -> Benchmark:
    """Measure training of an MLP on scikit-learn's digits with the handlers that most runs have."""
    label = "ProgressBar, RunningAverage and three more"
    ours = Row(label, Cost("engine"), Cost("bare loop"), "bare loop", at_most(1.15))
    added = Row(
        "added by engine and handlers",
        Cost("engine", over="bare loop"),
        Cost("Ignite", over="bare loop"),
        "Ignite",
        at_most(None),
    )
    if not installed("torch", "sklearn", "tqdm", "tensorboard"):
        return Benchmark([], [ours, added], missing="torch, scikit-learn, tqdm or tensorboard is not installed")
    batches = digits_batches()
    units = EPOCHS * len(batches)
    contestants = [Contestant("bare loop", lambda: bare_training(batches, EPOCHS), units)]
    for name, module in engines().items():
        library = module.__name__.partition(".")[0]
        contestants.append(Contestant(name, functools.partial(training, library, module, batches), units))
    return Benchmark(contestants, [ours, added])


# Saving in the background


def copying(model: Any) -> Callable[[], object]:
    """Return a call that copies the tensors of `model` to the host, the lower bound of the wait for a save."""
    RESOURCES.close()
    copies: list[Any] = []

    def copy() -> None:
        copies.append([tensor.to("cpu", copy=True) for tensor in model.state_dict().values()])

    return copy


def running(model: Any, saves: bool) -> Callable[[], object]:
    """Return a call that runs one iteration, and saves `model` after it if `saves` is true."""
    from fsm_engine.handlers import Checkpoint

    RESOURCES.close()
    engine = fsm_engine.Engine(no_op)
    if saves:
        checkpoint = Checkpoint({"model": model}, folder(), background=True)
        RESOURCES.callback(checkpoint.wait)
        engine.add_event_handler(fsm_engine.Events.ITERATION_COMPLETED, checkpoint)
    return functools.partial(engine.run, [0])


def background(_quick: bool) -> Benchmark:
    """Measure how long a run waits for a save in the background, relative to a copy of the saved tensors."""
    ours = Cost("saving", over="not saving")
    row = Row("Checkpoint(background=True), 100 MB", ours, Cost("copying"), "a copy", at_most(1.2))
    if not installed("torch"):
        return Benchmark([], [row], missing="torch is not installed")
    from torch import nn

    model = nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS)))
    contestants = [
        Contestant("copying", functools.partial(copying, model)),
        Contestant("not saving", functools.partial(running, model, False)),
        Contestant("saving", functools.partial(running, model, True)),
    ]
    return Benchmark(contestants, [row], clock=time.perf_counter)


BENCHMARKS: dict[str, Callable[[bool], Benchmark]] = {"all": all_at_once, "background": background}


if __name__ == "__main__":
    main(BENCHMARKS, "The cost of handlers.")
