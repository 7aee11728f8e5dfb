"""Handlers and metrics of pytorch-ignite, run on an adapted engine and on an engine of pytorch-ignite."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine as IgniteEngine
from ignite.engine import EventEnum as IgniteEventEnum
from ignite.engine import Events as IgniteEvents
from ignite.engine import State as IgniteState
from ignite.handlers import (
    BasicTimeProfiler,
    Checkpoint,
    DiskSaver,
    EarlyStopping,
    EMAHandler,
    EpochOutputStore,
    FastaiLRFinder,
    LinearCyclicalScheduler,
    LRScheduler,
    ModelCheckpoint,
    ProgressBar,
    TensorboardLogger,
    TerminateOnNan,
    TimeLimit,
    Timer,
    global_step_from_engine,
)
from ignite.handlers.state_param_scheduler import LambdaStateScheduler
from ignite.handlers.tensorboard_logger import OptimizerParamsHandler, OutputHandler
from ignite.metrics import Accuracy, Frequency, Loss, Precision, Recall, RunningAverage
from torch.nn.functional import cross_entropy

from fsm_engine import Engine, EventEnum, Events
from fsm_engine import State as OurState
from fsm_engine.compat.ignite import adapt
from fsm_engine.compat.ignite.adapter import AdaptedEngine
from fsm_engine.persistence.handler_state import handler_states, load_handler_states

Make = Callable[[Callable[[Any, Any], Any]], Any]


class BackpropEvents(IgniteEventEnum):
    BACKWARD_STARTED = "backward_started"


class Task:
    """A small model with its training and evaluation engines; every instance has the same weights and data."""

    def __init__(self, make: Make, folder: Path) -> None:
        generator = torch.Generator().manual_seed(0)
        self.data = [
            (torch.rand(4, 3, generator=generator), torch.randint(2, (4,), generator=generator)) for _ in range(5)
        ]
        torch.manual_seed(0)
        self.model = torch.nn.Linear(3, 2)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.trainer = make(self.train)
        self.evaluator = make(self.evaluate)
        self.folder = folder
        self.seen: list[Any] = []

    def train(self, engine, batch):
        x, y = batch
        self.optimizer.zero_grad()
        loss = cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def evaluate(self, engine, batch):
        x, y = batch
        with torch.no_grad():
            return self.model(x), y

    def note(self, event: Any, get: Callable[[Any], Any]) -> None:
        self.trainer.add_event_handler(event, lambda engine: self.seen.append(get(engine)))


def ours(step: Any) -> AdaptedEngine:
    return adapt(Engine(step))


def metrics_of(task: Task) -> Any:
    for name, metric in {
        "accuracy": Accuracy(),
        "loss": Loss(cross_entropy),
        "f1": Precision(average=False) * Recall(average=False) * 2,
    }.items():
        metric.attach(task.evaluator, name)

    @task.trainer.on(IgniteEvents.EPOCH_COMPLETED)
    def evaluate(engine):
        found = task.evaluator.run(task.data).metrics
        task.seen.append({name: torch.as_tensor(value).tolist() for name, value in found.items()})

    task.trainer.run(task.data, max_epochs=3)


def running_average(task: Task) -> Any:
    RunningAverage(output_transform=lambda output: output).attach(task.trainer, "loss")
    RunningAverage(Accuracy()).attach(task.evaluator, "accuracy")
    task.note(IgniteEvents.ITERATION_COMPLETED, lambda engine: engine.state.metrics["loss"])
    task.trainer.run(task.data, max_epochs=2)
    task.seen.append(task.evaluator.run(task.data).metrics)


def frequency(task: Task) -> Any:
    Frequency(output_transform=lambda output: 4).attach(task.trainer, "rate", IgniteEvents.ITERATION_COMPLETED)
    task.note(IgniteEvents.ITERATION_COMPLETED, lambda engine: engine.state.metrics["rate"] > 0)
    task.trainer.run(task.data)


def early_stopping(task: Task) -> Any:
    scores = iter([1.0, 2.0, 1.5, 1.4, 1.3, 9.0])
    stopping = EarlyStopping(2, lambda engine: next(scores), task.trainer)
    task.evaluator.add_event_handler(IgniteEvents.COMPLETED, stopping)
    task.trainer.add_event_handler(IgniteEvents.EPOCH_COMPLETED, lambda: task.evaluator.run(task.data))
    state = task.trainer.run(task.data, max_epochs=6)
    task.seen += [state.epoch, state.iteration, stopping.state_dict(), task.trainer.should_terminate]


def model_checkpoint(task: Task) -> Any:
    handler = ModelCheckpoint(
        task.folder, "best", n_saved=2, global_step_transform=global_step_from_engine(task.trainer), require_empty=False
    )
    task.trainer.add_event_handler(IgniteEvents.EPOCH_COMPLETED(every=2), handler, {"model": task.model})
    task.trainer.run(task.data, max_epochs=7)
    task.seen += [sorted(path.name for path in task.folder.iterdir()), Path(handler.last_checkpoint).name]


def checkpoint_of_the_trainer(task: Task) -> Any:
    handler = Checkpoint({"trainer": task.trainer}, DiskSaver(task.folder, require_empty=False), n_saved=None)
    task.trainer.add_event_handler(IgniteEvents.EPOCH_COMPLETED(once=2) | IgniteEvents.COMPLETED, handler)
    task.trainer.run(task.data, max_epochs=3)
    for path in sorted(task.folder.iterdir()):
        task.seen.append((path.name, dict(torch.load(path, weights_only=False))))
    task.trainer.load_state_dict(task.seen[0][1])
    task.seen.append(task.trainer.run(task.data).iteration)


def progress_bar(task: Task) -> Any:
    RunningAverage(output_transform=lambda output: output).attach(task.trainer, "loss")
    with (task.folder / "bar").open("w") as file:
        bar = ProgressBar(file=file, mininterval=0, bar_format="{desc}|{n_fmt}/{total_fmt}|{postfix}\n")
        bar.attach(task.trainer, ["loss"])
        task.trainer.run(task.data, max_epochs=2)
    task.seen.append([line for line in (task.folder / "bar").read_text().split("\n") if line.strip()])


def wrong_progress_bar(task: Task) -> Any:
    with pytest.raises(ValueError, match="Logging event BACKWARD_STARTED is not in allowed"):
        ProgressBar().attach(task.trainer, event_name=BackpropEvents.BACKWARD_STARTED)


def tensorboard(task: Task) -> Any:
    writer = TensorboardLogger(log_dir=str(task.folder))
    written = task.seen
    writer.writer.add_scalar = lambda *args: written.append(args)  # type: ignore[method-assign]
    RunningAverage(output_transform=lambda output: output).attach(task.trainer, "loss")
    steps = global_step_from_engine(task.trainer)
    writer.attach(task.trainer, OutputHandler("train", ["loss"], global_step_transform=steps), IgniteEvents.COMPLETED)
    writer.attach(task.trainer, OptimizerParamsHandler(task.optimizer), IgniteEvents.ITERATION_STARTED(every=2))
    with pytest.raises(RuntimeError, match="Unknown event name"):
        writer.attach(task.trainer, OutputHandler("train", ["loss"]), "abc")
    task.trainer.run(task.data, max_epochs=2)
    writer.close()


def learning_rates(task: Task) -> Any:
    LRScheduler(torch.optim.lr_scheduler.StepLR(task.optimizer, 2, 0.5), save_history=True).attach(task.trainer)
    other = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    cycle = LinearCyclicalScheduler(other, "lr", 1.0, 0.0, 4)
    cycle.attach(task.trainer)
    task.note(
        IgniteEvents.ITERATION_COMPLETED, lambda engine: (task.optimizer.param_groups[0]["lr"], cycle.get_param())
    )
    state = task.trainer.run(task.data, max_epochs=2)
    task.seen.append(state.param_history)


def moving_average_of_weights(task: Task) -> Any:
    handler = EMAHandler(task.model, momentum=0.1, momentum_warmup=0.5, warmup_iters=3)
    handler.attach(task.trainer, "ema_momentum", event=IgniteEvents.ITERATION_COMPLETED(every=2))
    task.note(IgniteEvents.ITERATION_COMPLETED, lambda engine: engine.state.ema_momentum)
    task.trainer.run(task.data, max_epochs=2)
    task.seen.append(handler.ema_model.weight.tolist())


def timer(task: Task) -> Any:
    timer = Timer(average=True)
    timer.attach(
        task.trainer,
        start=IgniteEvents.EPOCH_STARTED,
        resume=IgniteEvents.ITERATION_STARTED,
        pause=IgniteEvents.ITERATION_COMPLETED,
        step=IgniteEvents.ITERATION_COMPLETED,
    )
    task.trainer.run(task.data, max_epochs=2)
    task.seen += [timer.step_count, timer.value() > 0]


def terminate_on_nan(task: Task) -> Any:
    nan = TerminateOnNan(lambda output: float("nan") if task.trainer.state.iteration == 3 else output)
    task.trainer.add_event_handler(IgniteEvents.ITERATION_COMPLETED, nan)
    task.note(IgniteEvents.TERMINATE, lambda engine: "terminated")
    task.seen.append(task.trainer.run(task.data, max_epochs=2).iteration)


def time_limit(task: Task) -> Any:
    limit = TimeLimit(1)
    limit.start_time -= 10
    task.trainer.add_event_handler(IgniteEvents.ITERATION_COMPLETED, limit)
    task.seen.append(task.trainer.run(task.data, max_epochs=2).iteration)


def outputs_of_an_epoch(task: Task) -> Any:
    EpochOutputStore().attach(task.trainer, "losses")
    task.note(IgniteEvents.EPOCH_COMPLETED, lambda engine: list(engine.state.losses))
    task.trainer.run(task.data, max_epochs=2)


def a_parameter_of_the_state(task: Task) -> Any:
    scheduler = LambdaStateScheduler(lambda event: event * 2, "alpha", save_history=True, create_new=True)
    scheduler.attach(task.trainer, IgniteEvents.EPOCH_COMPLETED)
    task.note(IgniteEvents.EPOCH_COMPLETED, lambda engine: engine.state.alpha)
    task.seen.append(task.trainer.run(task.data, max_epochs=3).param_history)


def learning_rate_finder(task: Task) -> Any:
    finder = FastaiLRFinder()
    saved = {"model": task.model, "optimizer": task.optimizer}
    with finder.attach(task.trainer, saved, num_iter=8, end_lr=1.0, diverge_th=100) as finding:
        finding.run(task.data)
    task.seen += [finder.get_results(), task.optimizer.param_groups[0]["lr"], task.model.weight.tolist()]
    state = task.trainer.run(task.data, max_epochs=1)
    task.seen += [state.iteration, state.epoch]


USES = [
    a_parameter_of_the_state,
    checkpoint_of_the_trainer,
    early_stopping,
    frequency,
    learning_rate_finder,
    learning_rates,
    metrics_of,
    model_checkpoint,
    moving_average_of_weights,
    outputs_of_an_epoch,
    progress_bar,
    running_average,
    tensorboard,
    terminate_on_nan,
    time_limit,
    timer,
    wrong_progress_bar,
]


@pytest.mark.filterwarnings("ignore")  # pytorch-ignite warns about its own code
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_an_adapted_engine_gives_the_same_results_as_an_engine_of_ignite(use, tmp_path):
    seen = []
    for name, make in {"ours": ours, "theirs": IgniteEngine}.items():
        (tmp_path / name).mkdir()
        task = Task(make, tmp_path / name)
        use(task)
        seen.append((task.seen, task.model.weight.tolist(), task.trainer.state.iteration))
    assert seen[0] == seen[1]


class Own(EventEnum):
    SAVED = "saved"


def echo(engine, batch):
    return batch


def test_events_of_ignite_can_be_registered_filtered_counted_and_fired():
    def step(engine, batch):
        trainer.state.backwards += 1
        trainer.fire_event(BackpropEvents.BACKWARD_STARTED)

    engine = Engine(step)
    trainer = adapt(engine)
    trainer.register_events(*BackpropEvents, event_to_attr={BackpropEvents.BACKWARD_STARTED: "backwards"})
    trainer.register_events("named")
    seen = []
    event = BackpropEvents.BACKWARD_STARTED(every=2) | IgniteEvents.EPOCH_COMPLETED(
        lambda engine, epoch: isinstance(engine, AdaptedEngine) and epoch == 2
    )
    trainer.add_event_handler(event, lambda engine: seen.append(engine.state.backwards))
    trainer.add_event_handler("named", lambda: seen.append("named"))
    engine.add_event_handler(Events.COMPLETED, lambda: engine.fire_event("named"))

    trainer.run([1, 2, 3], max_epochs=2)

    assert seen == [2, 4, 6, 6, "named"]
    assert trainer.state.get_event_attrib_value(BackpropEvents.BACKWARD_STARTED(every=2)) == 6
    assert trainer.has_registered_events(BackpropEvents.BACKWARD_STARTED)
    assert not trainer.has_registered_events("other")


def test_events_are_matched_by_name():
    engine = Engine(echo)
    engine.register_events(*Own)
    seen = []

    class Theirs(IgniteEventEnum):
        SAVED = "saved"

    adapt(engine).register_events(Theirs.SAVED)
    adapt(engine).add_event_handler(Theirs.SAVED, lambda: seen.append("theirs"))
    adapt(engine).add_event_handler(Own.SAVED, lambda: seen.append("ours"))
    engine.fire_event(Own.SAVED)
    assert seen == ["theirs", "ours"]


def test_an_unregistered_event_is_an_error():
    with pytest.raises(ValueError, match="is not a valid event for this Engine"):
        adapt(Engine(echo)).add_event_handler(BackpropEvents.BACKWARD_STARTED, print)


def test_handlers_of_both_libraries_are_called_in_order_with_their_arguments():
    engine = Engine(echo)
    seen = []
    engine.add_event_handler(Events.STARTED, lambda engine: seen.append(type(engine)))
    adapt(engine).add_event_handler(IgniteEvents.STARTED, lambda engine, word: seen.append((type(engine), word)), "a")
    adapt(engine).add_event_handler(IgniteEvents.STARTED, lambda: seen.append("nothing"))
    engine.add_event_handler(Events.STARTED, lambda: seen.append("last"))
    engine.run([1])
    assert seen == [Engine, (AdaptedEngine, "a"), "nothing", "last"]


def test_a_handler_of_exceptions_receives_the_exception():
    engine, seen = Engine(lambda engine, batch: 1 / 0), []
    adapt(engine).add_event_handler(
        IgniteEvents.EXCEPTION_RAISED, lambda engine, error: seen.append((type(engine), type(error)))
    )
    engine.run([1])
    assert seen == [(AdaptedEngine, ZeroDivisionError)]


def test_attached_handlers_can_be_found_and_removed():
    trainer, handler = adapt(Engine(echo)), Timer().step
    handle = trainer.add_event_handler(IgniteEvents.ITERATION_COMPLETED(every=2), handler)
    assert trainer.has_event_handler(handler)
    assert trainer.has_event_handler(handler, IgniteEvents.ITERATION_COMPLETED)
    assert not trainer.has_event_handler(handler, IgniteEvents.STARTED)
    trainer.remove_event_handler(handler, IgniteEvents.ITERATION_COMPLETED)
    assert not trainer.has_event_handler(handler)
    handle.remove()
    with trainer.add_event_handler(IgniteEvents.STARTED, handler):
        assert trainer.has_event_handler(handler)
    assert not trainer.has_event_handler(handler)


def test_signals_reach_the_engine():
    engine = Engine(echo)
    trainer, seen = adapt(engine), []
    trainer.add_event_handler(IgniteEvents.ITERATION_COMPLETED(once=2), lambda trainer: trainer.terminate_epoch())
    trainer.add_event_handler(
        IgniteEvents.TERMINATE_SINGLE_EPOCH, lambda trainer, iter_counter: seen.append(iter_counter)
    )
    trainer.add_event_handler(IgniteEvents.ITERATION_COMPLETED(once=4), lambda trainer: trainer.interrupt())
    trainer.run([1, 2, 3], max_epochs=2)
    assert (seen, trainer.state.iteration, trainer.last_event_name) == ([2], 4, IgniteEvents.INTERRUPT)
    trainer.run()
    assert (engine.state.iteration, trainer.last_event_name) == (5, IgniteEvents.COMPLETED)
    assert not trainer.should_terminate_single_epoch
    assert not trainer.should_interrupt


def test_the_adapted_state_reads_and_writes_the_state_of_the_engine():
    engine = Engine(echo)
    trainer = adapt(engine)
    trainer.state.alpha = 3
    assert (engine.state.alpha, repr(trainer.state)) == (3, repr(engine.state))
    del trainer.state.alpha
    assert not hasattr(trainer.state, "alpha")
    trainer.state = IgniteState(alpha=5, iteration=2)
    assert (type(engine.state), engine.state.alpha, engine.state.iteration) == (OurState, 5, 2)
    kept = engine.state
    trainer.state = trainer.state
    assert engine.state is kept


def test_attributes_without_a_counterpart_in_ignite_are_the_engines():
    engine = Engine(echo)
    trainer = adapt(engine)
    trainer.state_dict_user_keys = ["alpha"]
    assert (trainer.phase, trainer.lifecycle, engine.state_dict_user_keys) == (
        engine.phase,
        engine.lifecycle,
        ["alpha"],
    )
    assert trainer.state_dict_user_keys == ["alpha"]
    with pytest.raises(AttributeError, match="'Engine' object has no attribute 'motor'"):
        trainer.motor  # noqa: B018


def test_adapt_returns_the_same_object_while_it_is_referenced():
    engine = Engine(echo)
    trainer = adapt(engine)
    assert adapt(engine) is trainer
    assert isinstance(trainer, IgniteEngine)
    with pytest.raises(TypeError, match=r"^adapt\(\) takes an fsm_engine.Engine, got <.*AdaptedEngine"):
        adapt(trainer)


def test_an_adapted_engine_is_freed_by_reference_counting():
    gc.disable()
    try:
        engine = Engine(echo)
        Timer().attach(adapt(engine))
        RunningAverage(output_transform=float).attach(adapt(engine), "average")
        engine.run([1, 2])
        gone = weakref.ref(engine)
        del engine
        assert gone() is None
    finally:
        gc.enable()


def test_saved_handler_states_include_handlers_of_ignite():
    def make():
        trainer = adapt(Engine(echo))
        stopping = EarlyStopping(2, lambda engine: -engine.state.epoch, trainer)
        trainer.add_event_handler(IgniteEvents.EPOCH_COMPLETED, stopping)
        trainer.add_event_handler(IgniteEvents.COMPLETED, trainer.terminate)
        Accuracy().attach(trainer, "accuracy")
        return trainer, stopping

    trainer, stopping = make()
    trainer.run([(torch.eye(2), torch.tensor([0, 1]))], max_epochs=2)
    saved = handler_states(trainer._adapted)
    assert set(saved) == {"EarlyStopping", "Accuracy"}
    other, fresh = make()
    load_handler_states(other._adapted, saved)
    assert fresh.state_dict() == stopping.state_dict()
    assert fresh.counter == 1


def test_a_profiler_of_ignite_is_refused_with_a_hint():
    with pytest.raises(AttributeError, match=r"has no _.*fsm_engine\.handlers"):
        BasicTimeProfiler().attach(adapt(Engine(echo)))


def test_without_ignite_the_error_has_the_pip_command():
    code = (
        "import sys; sys.modules['ignite'] = None\n"
        "from fsm_engine import Engine; from fsm_engine.compat.ignite import adapt\n"
        "try: adapt(Engine(print))\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'Install it with: pip install "fsm-engine[ignite]"' in done.stdout
