"""Mistakes that new users make: each is told at once, with the value, the legal choices or the fix.

A row of the table is a program that makes the mistake, and the parts of the answer that let a user act on it. The
answer is all that the program shows: the exception with its notes, warnings, and log records.
"""

from __future__ import annotations

import logging
import sys
import textwrap
import warnings
from pathlib import Path
from traceback import TracebackException
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("torchmetrics")

SETUP = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
import fsm_engine
from fsm_engine import *
from fsm_engine import Engine, EventEnum, Events, Lifecycle, State
from fsm_engine.handlers import *
from fsm_engine.metrics import *
from fsm_engine.loggers import CSVLogger

class Backprop(EventEnum):
    STARTED = "backprop_started"
    COMPLETED = "backprop_completed"

model = nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
criterion = nn.CrossEntropyLoss()
dataset = TensorDataset(torch.randn(8, 4), torch.randint(2, (8,)))
loader = DataLoader(dataset, batch_size=4)
x, y = torch.randn(4, 4), torch.tensor([0, 1, 0, 1])

def step(engine, batch):
    return 1.0

def log(engine):
    pass

def supervised(**options):
    return create_supervised_trainer(model, optimizer, criterion, **options)

trainer, evaluator = Engine(step), create_supervised_evaluator(model)
lifecycle = Lifecycle.training(step)
"""

EVENTS = [
    ("Events.EPOCH_COMPLETE", "AttributeError", "EPOCH_COMPLETED"),
    ("Backprop.STARTD", "AttributeError", "STARTED"),
    ('trainer.add_event_handler("epoch_completed", log)', "ValueError", "Did you mean Events.EPOCH_COMPLETED?"),
    ('trainer.on("iteration_complete")(log)', "Did you mean Events.ITERATION_COMPLETED?"),
    ('trainer.register_events("backward")\ntrainer.fire_event("bakward")', "Did you mean 'backward'?"),
    ("trainer.fire_event(Backprop.STARTED)", "ValueError", "engine.register_events(Backprop.STARTED)"),
    ('trainer.run([1], until="EPOCH_COMPLETE")', "Did you mean Events.EPOCH_COMPLETED?"),
    ("trainer.on(StepEvents.BACKWARD_COMPLETED)(log)", "not a valid event", "create_supervised_trainer(...)"),
    ("supervised().on(StepEvents.UNSCALED)(log)", "no UNSCALED"),
    ("trainer.on(Events.EPOCH_COMPLETED, every=2)(log)", "ValueError", "Did you mean Events.EPOCH_COMPLETED(every=2)?"),
    ("trainer.register_events(Backprop)", "TypeError", "register_events(*Backprop)"),
    ("trainer.on(Events)(log)", "TypeError", "Events.STARTED"),
    ("Events.EPOCH_COMPLETED(evry=2)", "TypeError", "Did you mean every=?"),
    ("Events.EPOCH_COMPLETED(n=2)", "TypeError", "no argument n=", "every, once, before, after"),
    ("Events.EPOCH_COMPLETED(2)", "TypeError", "every=2"),
    ("Events.EPOCH_COMPLETED(every=0)", "ValueError", "every", "greater than zero", "got 0"),
    ("Events.EPOCH_COMPLETED(every=2, once=3)", "ValueError", "once", "cannot be combined"),
    ("Events.EPOCH_COMPLETED(event_filter=lambda engine: True)", "ValueError", "['engine']", "the event's counter"),
    ("Events.EPOCH_COMPLETED()", "ValueError", "every=, once=", "Events.EPOCH_COMPLETED itself"),
    ("trainer.on(Events.ITERATION_COMPLETED(every=100))(log)\ntrainer.run([1, 2])", "not called", "at most 2"),
]

HANDLERS = [
    ("@trainer.on\ndef save(engine): pass", "TypeError", "@engine.on(event)"),
    ("trainer.add_event_handler(log, Events.STARTED)", "TypeError", "The event comes first"),
    ("trainer.add_event_handler([Events.STARTED, Events.COMPLETED], log)", "Events.STARTED | Events.COMPLETED"),
    (
        "trainer.on(Events.STARTED, Events.COMPLETED)(lambda engine: None)",
        "UserWarning",
        "join",
        "STARTED | Events.COMP",
    ),
    ("trainer.add_event_handler(Events.STARTED, log(trainer))", "TypeError", "got None", "the function itself"),
    ("trainer.add_event_handler(Events.STARTED, evaluator.run(loader))", "TypeError", "at once", "lambda: engine.run("),
    (
        "trainer.add_event_handler(Events.STARTED, evaluator.run, loader)\ntrainer.run([1])",
        "lambda: evaluator.run(data)",
    ),
    ("trainer.add_event_handler(Events.STARTED, lambda engine, epoch: None)", "ValueError", "['engine', 'epoch']"),
    ("trainer.add_event_handler(Events.STARTED, log, titel='x')", "ValueError", "titel='x'", "['engine']"),
    (
        "async def save(engine): pass\ntrainer.on(Events.STARTED)(save)",
        "TypeError",
        "coroutine",
        "def instead of async",
    ),
    (
        "async def save(engine): pass\ntrainer.on(Events.STARTED)(lambda engine: save(engine))\ntrainer.run([1])",
        "RuntimeWarning",
        "'save' was never awaited",
    ),
    ("trainer.add_event_handler(Events.STARTED, TerminateOnNan)", "TypeError", "class", "TerminateOnNan(...)"),
    ("trainer.add_event_handler(Events.STARTED, ProgressBar)", "TypeError", "class", "ProgressBar(...)"),
    ("trainer.add_event_handler(Events.STARTED, ProgressBar())", "TypeError", "ProgressBar(...).attach(engine)"),
    ("ProgressBar(trainer)", "TypeError", "ProgressBar().attach(engine)"),
    (
        "trainer.add_event_handler(Events.STARTED, torch.optim.lr_scheduler.StepLR(optimizer, 1))",
        "TypeError",
        "LRScheduler(scheduler)",
    ),
    (
        "trainer.on(Events.EXCEPTION_RAISED)(lambda engine: None)",
        "UserWarning",
        "gets the exception",
        "(engine, error)",
    ),
    ("trainer.remove_event_handler(log, Events.STARTED)", "ValueError", "log", "Events.STARTED: []"),
    (
        '@trainer.on(Events.EPOCH_COMPLETED)\ndef save(engine): raise OSError("disk full")\ntrainer.run([1, 2])',
        "OSError: disk full",
        "the handler save (<program>:1) of Events.EPOCH_COMPLETED, epoch 1, iteration 2",
    ),
    (
        "@trainer.on(Events.STARTED)\ndef again(engine): engine.run([1])\ntrainer.run([1])",
        "BusyError",
        "another Engine",
    ),
    ("TimeLimit(10).attach(trainer)", "AttributeError", "engine.add_event_handler(event, TimeLimit(...))"),
    (
        "ModelCheckpoint(folder, 'm').attach(trainer)",
        "AttributeError",
        "add_event_handler(event, ModelCheckpoint(...))",
    ),
    ("GracefulStop(trainer)", "TypeError", "GracefulStop(save=...).attach(engine)"),
    ("EarlyStopping(3, 'accuracy', trainer)", "TypeError", "score_function", "'accuracy'"),
    ("EarlyStopping(3, lambda engine: 1.0, model)", "TypeError", "instance of Engine"),
    ("LRScheduler(optimizer)", "TypeError", "lr_scheduler.LRScheduler"),
    ("LinearCyclicalScheduler(model, 'lr', 0.1, 0.2, 4)", "TypeError", "optimizer", "Linear"),
    ("LinearCyclicalScheduler(optimizer, 'learning_rate', 0.1, 0.2, 4)", "UserWarning", "no effect", "lr, "),
    ("CSVLogger(folder / 'a.csv').attach(trainer, log, 'EPOCH_COMPLETD')", "Did you mean Events.EPOCH_COMPLETED?"),
]

ENGINES = [
    ("Engine()", "ValueError", "Engine(step)", "step(engine, batch)"),
    ("Engine(model)", "ValueError", "create_supervised_trainer(model, optimizer, loss_fn)"),
    ("Engine(step(None, None))", "ValueError", "1.0 is not a callable"),
    ("Engine(lambda batch: batch)", "ValueError", "(engine, batch)"),
    ("def train(engine, batch): yield 1\nEngine(train)", "TypeError", "generator", "return instead of yield"),
    ("trainer.run()", "ValueError", "run(data)", "run(None, epoch_length=...)"),
    ("trainer.run(10, loader)", "TypeError", "iterable", "got int: 10"),
    ("trainer.run(DataLoader)", "TypeError", "DataLoader(...)"),
    ("supervised().run(dataset)", "UserWarning", "DataLoader(dataset, batch_size=..., shuffle=True)"),
    ("trainer.run([])", "ValueError", "zero size", "non-empty"),
    ("trainer.run(DataLoader(dataset, batch_size=100, drop_last=True))", "ValueError", "drop_last=True"),
    ("trainer.run((n for n in [1, 2]), max_epochs=2)", "UserWarning", "no iterations", "a list or a DataLoader"),
    ("trainer.run(iter([1, 2]), max_epochs=3)", "UserWarning", "iteration: 2", "a list or a DataLoader"),
    ("data = iter([1])\ntrainer.run(data)\ntrainer.run(data)", "ValueError", "zero size", "only once"),
    ("trainer.run([1], max_epochs=2.0)", "TypeError", "max_epochs", "integer, got 2.0"),
    ("trainer.run([1], max_epochs=0)", "ValueError", "max_epochs", "0", "greater than zero"),
    ("trainer.run([1], max_epochs=1, max_iters=5)", "ValueError", "mutually exclusive", "Give one"),
    ("trainer.run([1], 2)\ntrainer.run([1], 1)", "ValueError", "1 vs 2", "engine.state.max_epochs = None"),
    ("trainer.interrupt()\ntrainer.run([1])", "interrupt() was called before this run", "no effect", "until=event"),
    ("trainer.terminate()\ntrainer.run([1])", "terminate() was called before this run", "in a handler"),
    ("trainer.terminate_epoch()", "RuntimeError", "no epoch is open", "EPOCH_STARTED"),
    ("trainer.record('run.fsmt')", "TypeError", "timeline.save('run.fsmt')"),
    ("trainer.record().summary()", "AttributeError", "with engine.record() as timeline: ...`, then timeline.summary"),
    ("trainer.set_data([1])", "RuntimeError", "run(data)"),
    ("trainer.state = {}", "TypeError", "fsm_engine.State(...)"),
    ("trainer.load_state_dict(model.state_dict())", "ValueError", "epoch_length", "['weight', 'bias']"),
]

SUPERVISED = [
    ("create_supervised_trainer(model, criterion, optimizer)", "TypeError", "model, optimizer, loss_fn"),
    ("create_supervised_trainer(optimizer, model, criterion)", "TypeError", "model, optimizer, loss_fn"),
    ("create_supervised_trainer(nn.Linear, optimizer, criterion)", "TypeError", "model=Linear(...)"),
    ("create_supervised_trainer(model, torch.optim.SGD, criterion)", "TypeError", "SGD(model.parameters(), ...)"),
    (
        "create_supervised_trainer(model, model.parameters(), criterion)",
        "TypeError",
        "torch.optim.SGD(model.parameters()",
    ),
    ("create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss)", "TypeError", "CrossEntropyLoss()"),
    ("create_supervised_trainer(model, optimizer, None)", "TypeError", "loss_fn(y_pred, y)", "CrossEntropyLoss()"),
    ("create_supervised_trainer(nn.Linear(4, 2), optimizer, criterion)", "UserWarning", "no parameter of the model"),
    ("supervised(device='gpu')", "RuntimeError", "cuda", "gpu"),
    ("supervised(device='meta').run(loader)", "model is on cpu", "moved to meta", "model.to(device)"),
    ("supervised(prepare_batch=lambda batch: batch)", "TypeError", "prepare_batch(batch, device=device"),
    ("supervised(output_transform=lambda output: output)", "TypeError", "output_transform(x, y, y_pred, loss)"),
    ("supervised().run([(x, y, 1)])", "ValueError", "tuple of 3 items", "(x, y)", "prepare_batch="),
    ("supervised().run([x])", "ValueError", "one tensor of shape (4, 4)", "prepare_batch="),
    ("supervised().run([1])", "TypeError", "a int", "prepare_batch="),
    ("supervised(gradient_accumulation_steps=2).run([(x, y, 1)])", "ValueError", "3 items", "prepare_batch="),
    ("evaluator.run([(x, y, 1)])", "ValueError", "tuple of 3 items", "prepare_batch="),
    ("supervised().run([{'image': x, 'label': y}])", "dict with the keys 'image', 'label'", "prepare_batch="),
    (
        "create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss(reduction='none')).run(loader)",
        "shape (4,)",
        "reduction='mean'",
    ),
    (
        "create_supervised_trainer(model, torch.optim.LBFGS(model.parameters()), criterion)",
        "ValueError",
        "optimizer.step(closure)",
    ),
]

METRICS = [
    ("create_supervised_evaluator(model, metrics=Accuracy())", "TypeError", 'metrics={"accuracy": Accuracy()}'),
    ("create_supervised_evaluator(model, metrics=[Accuracy()])", "TypeError", 'metrics={"accuracy": Accuracy()}'),
    ("create_supervised_evaluator(model, metrics={'acc': Accuracy})", "TypeError", "class", "Accuracy()"),
    ("create_supervised_evaluator(model, metrics={'acc': 'accuracy'})", "TypeError", "'accuracy' is not a metric"),
    ("Accuracy().attach('accuracy', trainer)", "TypeError", "should be an Engine", "Accuracy(...).attach(engine,"),
    ("Accuracy().attach(trainer.state, 'accuracy')", "TypeError", "should be an Engine, got State"),
    ("Accuracy(output_transform=lambda y_pred, y: (y_pred, y))", "TypeError", "one argument", "lambda output:"),
    (
        "trainer = supervised()\nAccuracy().attach(trainer, 'acc')\ntrainer.run(loader)",
        "was given float",
        "the handler Accuracy.iteration_completed",
        "output_transform=",
    ),
    ("Accuracy().compute()", "NotComputableError", "update()", "attach it to an engine"),
    ("Accuracy().attach(trainer, 'acc', usage='epoch')", "ValueError", "epoch_wise, running_epoch_wise"),
    ("Accuracy().update((torch.rand(4), torch.ones(4)))", "ValueError", "Round y_pred with output_transform="),
    ("Loss(nn.CrossEntropyLoss)", "TypeError", "CrossEntropyLoss()"),
    ("Loss(nn.CrossEntropyLoss(reduction='sum'))", "UserWarning", "too large", "reduction='mean'"),
    ("Loss(criterion).attach(trainer, 'a')\nAccuracy().attach(trainer, 'a')", "UserWarning", "overwrites", "'a_2'"),
    ("RunningAverage().attach(trainer, 'loss')", "ValueError", "output_transform"),
    (
        "stop = EarlyStopping(3, lambda engine: engine.state.metrics['loss'], trainer)\n"
        "evaluator.add_event_handler(Events.COMPLETED, stop)\nevaluator.run(loader)",
        "KeyError: 'loss'",
        "the handler EarlyStopping",
        "Events.COMPLETED",
    ),
]

LIFECYCLES = [
    (
        "lifecycle.insert('CLIP', after=Events.STARTED)\nlifecycle.add_phase('CLIP')",
        "LifecycleError",
        "already is a phase",
    ),
    ("lifecycle.insert('CLIP', after='EPOCH_COMPLETED')", "LifecycleError", "Did you mean Events.EPOCH_COMPLETED?"),
    ("lifecycle.insert('CLIP', before=StepEvents.OPTIM_STEP_STARTED)", "not a phase", "create_supervised_trainer(...)"),
    ("lifecycle.reachable(Tbptt_Events.TIME_ITERATION_STARTED)", "create_supervised_tbptt_trainer(...)"),
    ("lifecycle.require('EPOCH_STARTD', before=Events.COMPLETED)", "Did you mean Events.EPOCH_STARTED?"),
    (
        "lifecycle.add_transition(Backprop.STARTED >> Events.COMPLETED)",
        "not a phase",
        "add_phase(Backprop.STARTED, ...)",
    ),
    ("lifecycle.remove(Events.STARTED)", "LifecycleError", "one of lifecycle.phases"),
    ("lifecycle.remove(Events.STARTED >> Events.COMPLETED)", "remove_transition(Events.STARTED >> Events.COMPLETED)"),
    ("trainer.on(Events.STARTED >> Backprop.STARTED)(log)", "ValueError", "Backprop.STARTED, which is not a phase"),
    ("trainer.on(Events.STARTED >> 'EPOCH_STARTD')(log)", "ValueError", "Did you mean Events.EPOCH_STARTED?"),
    ("trainer.on(Events.EPOCH_COMPLETED >> Events.STARTED)(log)", "ValueError", "no edge", "lead to COMPLETED,"),
    ("Lifecycle(step)", "TypeError", "Lifecycle.training(step)"),
    (
        "trainer.on(Events.STARTED)(lambda engine: engine.lifecycle.add_phase('X'))\ntrainer.run([1])",
        "BusyError",
        "before run()",
    ),
    ("lifecycle.draw(folder / 'a.bmp')", "ValueError", ".bmp", ".svg, .png"),
    ("lifecycle.draw(folder / 'a.svg', theme='drak')", "ValueError", "'dark'"),
]

CHECKPOINTS = [
    ("Checkpoint(model, folder)", "TypeError", "to_save", "dictionary"),
    ("Checkpoint({'optimizer': torch.optim.SGD}, folder)", "to_save['optimizer']", "class SGD", "SGD(...)"),
    ("Checkpoint({'model': model}, folder, n_saved='2')", "ValueError", "n_saved", "positive integer", "'2'"),
    ("Checkpoint({'lr': 0.1}, folder)", "TypeError", "to_save['lr']", "state_dict"),
    ("save = ModelCheckpoint(folder, 'm')\ntrainer.on(Events.STARTED)(save)\ntrainer.run([1])", "{'model': model}"),
    ("(folder / 'a.pt').touch()\nModelCheckpoint(folder, 'm')", "ValueError", "a.pt", "require_empty=False"),
    ("Checkpoint({'model': model}, folder).resume()", "INFO", "No checkpoint named model in", "nothing is resumed"),
    (
        "trainer.add_event_handler(Events.COMPLETED, Checkpoint({'model': model}, folder))\ntrainer.run([1])\n"
        "Checkpoint({'model': model}, folder, filename_prefix='best').resume()",
        "WARNING",
        "No checkpoint named best_model in",
        "model_1.pt",
    ),
    (
        "(folder / 'a.pt').write_text('weights')\nCheckpoint.load_objects({'model': model}, folder / 'a.pt')",
        "RuntimeError",
        "a.pt",
        "not a file that torch.save wrote",
    ),
    (
        "torch.save({'model': model.state_dict()}, folder / 'a.pt')\n"
        "Checkpoint.load_objects({'model': nn.Linear(3, 2)}, folder / 'a.pt')",
        "RuntimeError",
        "to_load['model']",
        "size mismatch",
        "No object was changed",
    ),
]

TABLE = [*EVENTS, *HANDLERS, *ENGINES, *SUPERVISED, *METRICS, *LIFECYCLES, *CHECKPOINTS]
HAVE_NOTES = sys.version_info >= (3, 11)


class Records(logging.Handler):
    """Collects the texts of log records."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.levelname}: {record.getMessage()}")


def answer_to(program: str, folder: Path) -> str:
    """Run `program` after the set-up, and return everything that it shows."""
    names: dict[str, Any] = {"folder": folder}
    exec(SETUP, names)
    shown = Records()
    logger = logging.getLogger("fsm_engine")
    level = logger.level
    logger.addHandler(shown)
    logger.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                exec(compile(program, "<program>", "exec"), names)
            except Exception as error:
                bases = ", ".join(kind.__name__ for kind in type(error).__mro__[1:-2])
                shown.texts = [*TracebackException.from_exception(error).format_exception_only(), f"({bases})"]
    finally:
        logger.removeHandler(shown)
        logger.setLevel(level)
    return "\n".join([*shown.texts, *(f"{w.category.__name__}: {w.message}" for w in caught)])


@pytest.mark.parametrize("row", TABLE, ids=[row[0].splitlines()[-1] for row in TABLE])
def test_a_mistake_is_told_with_its_fix(row: tuple[str, ...], tmp_path: Path) -> None:
    program, *parts = row
    if not HAVE_NOTES and any(word in program for word in ("'meta'", "'image'", "'none'", "disk full", "'loss']")):
        pytest.skip("Python 3.10 has no notes")
    answer = answer_to(program, tmp_path)
    assert [part for part in parts if part not in answer] == [], textwrap.indent(f"{program}\n--> {answer}", "    ")


def test_the_table_is_long_and_has_no_row_twice() -> None:
    programs = [row[0] for row in TABLE]
    assert len(programs) > 100
    assert len(set(programs)) == len(programs)
