"""Engines with handlers and an evaluator inside leave nothing behind when they are dropped, without a collection."""

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
"""``torch.save``, torchmetrics and TensorBoard make cycles of their own."""


class Logs:
    """Writes down the score with the trainer's step: what a logger or a checkpoint on an evaluator keeps."""

    def __init__(self, step: Any) -> None:
        self.step, self.lines = step, []

    def __call__(self, engine: Engine) -> None:
        self.lines.append((self.step(engine, Events.EPOCH_COMPLETED), engine.state.output))


def score(engine: Engine) -> float:
    return engine.state.output.item()


def trained() -> list[weakref.ref[Any]]:
    """Train for two iterations with everything attached, drop it, and return references to its parts."""
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
    """Do the same for a job with a progress bar that is evaluated, logged and saved."""
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
    """Return the threads and, where the system tells, the files that this process has."""
    folder = Path("/proc/self/fd")
    files = [path.readlink() for path in folder.iterdir() if path.is_symlink()] if folder.is_dir() else []
    return threading.enumerate(), sorted(files)


def modules_of_collected() -> set[str]:
    """Collect, and return where what there was in reference cycles comes from."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    modules = {getattr(one, "__module__", None) or type(one).__module__ for one in gc.garbage}
    gc.garbage.clear()
    return {module.partition(".")[0] for module in modules}


def check_nothing_is_left(train: Callable[[], list[weakref.ref[Any]]], runs: int) -> set[str]:
    """Train so often, and return whose cycles there were, which hold neither engines nor models."""
    train()
    gc.collect()
    opened, before = open_now(), Counter(type(one).__name__ for one in gc.get_objects())
    for _ in range(runs):
        left = [one() for one in train()]
        assert left == [None] * len(left)
    gc.collect()
    more = Counter(type(one).__name__ for one in gc.get_objects()) - before
    for cached in ("ReferenceType", "builtin_function_or_method"):  # in the caches of abstract classes, whatever is run
        more.pop(cached, None)
    assert more.total() < 50, more
    assert open_now() == opened
    train()
    return modules_of_collected()


@pytest.mark.usefixtures("_without_collections")
@pytest.mark.parametrize("runs", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_a_thousand_engines_leave_nothing_behind(runs: int) -> None:
    assert check_nothing_is_left(trained, runs) == set()


@pytest.mark.usefixtures("_without_collections")
@pytest.mark.parametrize("runs", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_a_thousand_engines_that_save_and_log_leave_nothing_behind(tmp_path: Path, runs: int) -> None:
    modules = check_nothing_is_left(lambda: trained_and_saved(tmp_path, CSVLogger(tmp_path / "log.csv")), runs)
    assert not modules & OURS


@pytest.mark.usefixtures("_without_collections")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard|torch")
def test_a_logger_for_tensorboard_leaves_nothing_behind_when_it_is_closed(tmp_path: Path) -> None:
    def train() -> list[weakref.ref[Any]]:
        with TensorboardLogger(log_dir=str(tmp_path)) as logger:
            return trained_and_saved(tmp_path, logger)

    assert not check_nothing_is_left(train, 3) & OURS


@pytest.mark.usefixtures("_without_collections")
@pytest.mark.parametrize("event", [Events.COMPLETED(once=1), "own", Events.STARTED >> Events.EPOCH_STARTED], ids=str)
def test_a_handler_goes_with_its_engine(event: Any) -> None:
    engine, handler = Engine(lambda engine, batch: engine.fire_event("own")), Logs(None)
    engine.register_events("own")
    engine.add_event_handler(event, lambda logs: logs.lines.append(1), handler)
    engine.run([1])
    assert handler.lines == [1]
    dropped = weakref.ref(handler)
    del engine, handler
    assert dropped() is None


@pytest.mark.usefixtures("_without_collections")
def test_an_engine_that_is_dropped_while_suspended_or_after_a_failure_leaves_nothing_behind() -> None:
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
