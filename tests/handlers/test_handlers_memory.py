"""Engines with handlers and nested evaluators are freed by reference counting, without the garbage collector."""

from __future__ import annotations

import gc
import io
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from fsm_engine import Engine, Events, create_supervised_evaluator, create_supervised_trainer
from fsm_engine.handlers import (
    Checkpoint,
    ConcatScheduler,
    CosineAnnealingScheduler,
    EarlyStopping,
    EMAHandler,
    EpochOutputStore,
    GracefulStop,
    LinearCyclicalScheduler,
    ProgressBar,
    TensorboardLogger,
    TerminateOnNan,
    TimeLimit,
    Timer,
    Watchdog,
    global_step_from_engine,
)
from fsm_engine.loggers import BaseLogger, CSVLogger
from fsm_engine.metrics import Accuracy, RunningAverage

OURS = {"fsm_engine", __name__}
"""Modules that must not make reference cycles. ``torch.save``, torchmetrics and TensorBoard make some."""


class Logs:
    """Handler of an evaluator that records the score with the step of the trainer, as a logger or checkpoint does."""

    def __init__(self, step: Any) -> None:
        self.step, self.lines = step, []

    def __call__(self, engine: Engine) -> None:
        self.lines.append((self.step(engine, Events.EPOCH_COMPLETED), engine.state.output))


def score(engine: Engine) -> float:
    return engine.state.output.item()


def trained() -> list[weakref.ref[Any]]:
    """Train for two iterations with many handlers, and return weak references to all parts."""
    net = nn.Linear(1, 1)
    trainer, evaluator = Engine(lambda engine, batch: net(batch)), Engine(lambda engine, batch: net(batch))
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([torch.ones(1)]))
    average, store = EMAHandler(net, momentum_warmup=0.1, warmup_iters=2), EpochOutputStore()
    average.attach(trainer)
    store.attach(trainer, "outputs")
    Timer().attach(trainer)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, TerminateOnNan())
    trainer.add_event_handler(Events.ITERATION_COMPLETED, TimeLimit())
    stop = GracefulStop(save=score).attach(trainer).attach(evaluator)
    early = EarlyStopping(3, score, trainer)
    early.attach(evaluator)
    logs = Logs(global_step_from_engine(trainer))
    evaluator.add_event_handler(Events.COMPLETED, logs)
    trainer.run([torch.zeros(1)], max_epochs=2)
    assert (trainer.state.iteration, len(logs.lines), average.updates) == (2, 2, 2)
    return [weakref.ref(one) for one in (net, trainer, evaluator, average, average.ema_model, store, stop, early, logs)]


def trained_and_saved(folder: Path, logger: BaseLogger) -> list[weakref.ref[Any]]:
    """Train with an evaluator, a progress bar, a logger and checkpoints, and return weak references to all parts."""
    model, data = nn.Linear(2, 2), [(torch.ones(3, 2), torch.tensor([0, 1, 0]))] * 2
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss())
    evaluator, accuracy = create_supervised_evaluator(model), Accuracy()
    accuracy.attach(evaluator, "accuracy")
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(data))

    average, bar = RunningAverage(output_transform=float), ProgressBar(file=io.StringIO())
    average.attach(trainer, "loss")
    bar.attach(trainer, ["loss"])
    bar.attach(evaluator)
    cosine = CosineAnnealingScheduler(optimizer, "lr", 0.1, 0.01, 4)
    linear = LinearCyclicalScheduler(optimizer, "lr", 0.01, 0.1, 4)
    scheduler = ConcatScheduler([cosine, linear], [1])
    trainer.add_event_handler(Events.ITERATION_STARTED, scheduler)

    step = global_step_from_engine(trainer)
    logger.attach_output_handler(trainer, Events.ITERATION_COMPLETED, "training", metric_names="all")
    logger.attach_opt_params_handler(trainer, Events.ITERATION_COMPLETED, optimizer=optimizer)
    logger.attach_output_handler(evaluator, Events.COMPLETED, "held out", ["accuracy"], global_step_transform=step)
    newest = Checkpoint({"model": model, "optimizer": optimizer, "scheduler": scheduler, "trainer": trainer}, folder)
    best = Checkpoint({"model": model}, folder, "best", score_name="accuracy", global_step_transform=step)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, newest)
    evaluator.add_event_handler(Events.COMPLETED, best)
    trainer.run(data)
    assert (trainer.state.iteration, evaluator.state.iteration) == (2, 2)
    assert all(Path(checkpoint.last_checkpoint or "").is_file() for checkpoint in (newest, best))
    parts = model, optimizer, trainer, evaluator, average, accuracy, bar, scheduler, newest, best
    return [weakref.ref(one) for one in (*parts, model.weight)]


@pytest.fixture
def _without_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def open_now() -> tuple[list[threading.Thread], list[Path]]:
    """Return the threads and the open files of this process; files only where ``/proc`` exists."""
    folder = Path("/proc/self/fd")
    files = [path.readlink() for path in folder.iterdir() if path.is_symlink()] if folder.is_dir() else []
    return threading.enumerate(), sorted(files)


def modules_of_collected() -> set[str]:
    """Run the garbage collector, and return the top-level modules of the objects that were in reference cycles."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    modules = {getattr(one, "__module__", None) or type(one).__module__ for one in gc.garbage}
    gc.garbage.clear()
    return {module.partition(".")[0] for module in modules}


def check_nothing_is_left(train: Callable[[], list[weakref.ref[Any]]], runs: int) -> set[str]:
    """Call `train` `runs` times, and return the modules whose objects were in reference cycles."""
    train()
    gc.collect()
    opened, before = open_now(), Counter(type(one).__name__ for one in gc.get_objects())
    for _ in range(runs):
        left = [one() for one in train()]
        assert left == [None] * len(left)
    gc.collect()
    more = Counter(type(one).__name__ for one in gc.get_objects()) - before
    for cached in ("ReferenceType", "builtin_function_or_method"):  # abstract classes cache these in any case
        more.pop(cached, None)
    assert more.total() < 50, more
    assert open_now() == opened
    train()
    return modules_of_collected()


@pytest.mark.usefixtures("_without_collections")
@pytest.mark.parametrize("runs", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_engines_with_handlers_are_freed(runs: int) -> None:
    assert check_nothing_is_left(trained, runs) == set()


@pytest.mark.usefixtures("_without_collections")
@pytest.mark.parametrize("runs", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_engines_that_save_and_log_are_freed(tmp_path: Path, runs: int) -> None:
    modules = check_nothing_is_left(lambda: trained_and_saved(tmp_path, CSVLogger(tmp_path / "log.csv")), runs)
    assert not modules & OURS


@pytest.mark.usefixtures("_without_collections")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard|torch")
def test_engines_with_a_closed_tensorboard_logger_are_freed(tmp_path: Path) -> None:
    def train() -> list[weakref.ref[Any]]:
        with TensorboardLogger(log_dir=str(tmp_path)) as logger:
            return trained_and_saved(tmp_path, logger)

    assert not check_nothing_is_left(train, 3) & OURS


@pytest.mark.usefixtures("_without_collections")
@pytest.mark.parametrize("event", [Events.COMPLETED(once=1), "own", Events.STARTED >> Events.EPOCH_STARTED], ids=str)
def test_a_handler_is_freed_with_its_engine(event: Any) -> None:
    engine, handler = Engine(lambda engine, batch: engine.fire_event("own")), Logs(None)
    engine.register_events("own")
    engine.add_event_handler(event, lambda logs: logs.lines.append(1), handler)
    engine.run([1])
    assert handler.lines == [1]
    dropped = weakref.ref(handler)
    del engine, handler
    assert dropped() is None


@pytest.mark.usefixtures("_without_collections")
def test_an_engine_is_freed_while_suspended_and_after_a_failure() -> None:
    def fail() -> None:
        raise ValueError("no")

    for end in (Engine.interrupt, fail):
        engine = Engine(lambda engine, batch: batch)
        GracefulStop().attach(engine)
        Watchdog(60).attach(engine)
        engine.add_event_handler(Events.ITERATION_COMPLETED, end)
        dropped = weakref.ref(engine)
        try:
            engine.run([1, 2])
        except ValueError as error:
            del error
        del engine
        assert dropped() is None
