"""A script as users write it. mypy and pyright check it with their strict settings, and a test runs it."""

# pyright: strict

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from typing_extensions import assert_type

import fsm_engine
import fsm_engine.distributed as dist
from fsm_engine import (
    Edge,
    Engine,
    EventEnum,
    Events,
    History,
    Lifecycle,
    Outcome,
    RemovableEventHandle,
    Scope,
    State,
    StepEvents,
    Transition,
    create_supervised_evaluator,
    create_supervised_trainer,
)
from fsm_engine.handlers import (
    Checkpoint,
    EarlyStopping,
    EMAHandler,
    GracefulStop,
    LRScheduler,
    ModelCheckpoint,
    ProgressBar,
    TerminateOnNan,
    TimeLimit,
    Timer,
    Watchdog,
    create_lr_scheduler_with_warmup,
    global_step_from_engine,
)
from fsm_engine.loggers import CSVLogger, JSONLinesLogger
from fsm_engine.metrics import Accuracy, Loss, Metric, MetricsLambda, Precision, Recall, RunningAverage
from fsm_engine.timeline import Timeline

Pair = tuple[torch.Tensor, torch.Tensor]


class GanEvents(EventEnum):
    D_STEP = "d_step"
    G_STEP = "g_step"


class Longest(Metric):
    """A metric of the user's own, with attributes that have names of tensor methods."""

    state_reductions = {"max": "max", "sum": "sum"}  # noqa: RUF012  # as users write it

    def reset(self) -> None:
        self.max = 0
        self.sum = 0.0

    def update(self, output: list[int]) -> None:
        self.max = max(self.max, len(output))
        self.sum += sum(output)

    def compute(self) -> int:
        return self.max


def batches() -> list[Pair]:
    torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]  # torch has no type for it
    x = torch.randn(64, 8)
    y = (x.sum(dim=1) > 0).long()
    return [(x[first : first + 16], y[first : first + 16]) for first in range(0, 64, 16)]


def events_and_filters() -> list[str]:
    seen: list[str] = []

    def step(engine: Engine, batch: int) -> int:
        return batch * 2

    trainer = Engine(step)
    trainer.register_events(*GanEvents, "my_event")

    @trainer.on(Events.ITERATION_COMPLETED(every=2))
    def log(engine: Engine) -> None:
        seen.append(f"{engine.state.epoch}: {engine.state.output}")

    decorated: Callable[[Engine], None] = log

    @trainer.on(Events.STARTED | Events.COMPLETED)
    def without_engine() -> None:
        seen.append("ends")

    @trainer.on(Events.EPOCH_STARTED(once=[1, 2], priority=3))
    def with_arguments(engine: Engine, text: str = "epoch") -> None:
        seen.append(text)

    @trainer.on(Events.ITERATION_STARTED(event_filter=lambda engine, count: count > 100) | GanEvents.D_STEP)
    def rarely() -> None:
        seen.append("rarely")

    @trainer.on_exit(Scope.EPOCH)
    def leave(engine: Engine, transition: Transition) -> None:
        seen.append(str(transition.target))

    @trainer.on((Events.ITERATION_COMPLETED >> Events.EPOCH_COMPLETED)(every=2))
    def along_an_edge(engine: Engine, transition: Transition) -> None:
        seen.append(str(transition))

    assert_type(Events.ITERATION_STARTED >> Events.ITERATION_COMPLETED, Edge)
    assert_type(Events.STARTED >> Events.EPOCH_STARTED >> Events.GET_BATCH_STARTED, fsm_engine.Path)
    handle = trainer.add_event_handler(Events.COMPLETED(before=5, after=1), print, "never")
    assert_type(handle, RemovableEventHandle)
    handle.remove()
    trainer.add_event_handler(Events.COMPLETED, lambda engine: engine.call_when_safe(print))
    trainer.add_event_handler(Events.COMPLETED, lambda: seen.append("no parameter"))
    with trainer.add_event_handler("my_event", seen.append, "fired"):
        trainer.fire_event("my_event")
    trainer.remove_event_handler(rarely, GanEvents.D_STEP)
    state = trainer.run([1, 2, 3], max_epochs=2)
    assert_type(state, State)
    assert_type(state.iteration, int)
    assert_type(state.metrics, dict[str, Any])
    assert_type(trainer.outcome, Outcome | None)
    assert_type(trainer.has_event_handler(decorated), bool)
    return seen


def run_and_resume(data: list[int]) -> None:
    trainer = Engine(lambda engine, batch: batch)

    @trainer.on(Events.EXCEPTION_RAISED)
    def report(engine: Engine, error: Exception) -> None:
        raise error

    def observer(engine: Engine, transition: Transition) -> None: ...

    with trainer.observe(observer), trainer.discover() as seen:
        trainer.run(data, max_epochs=3, until=Events.EPOCH_COMPLETED(once=2))
    print(seen, trainer.phase, trainer.may(Events.EPOCH_STARTED))
    saved = trainer.state_dict()
    assert_type(saved, dict[str, Any])
    trainer.load_state_dict(saved)
    with trainer.interruptible():
        trainer.run(data)
    trainer.state.my_own = {"any": "attribute"}
    print(trainer.state.my_own, *trainer.check(data, max_epochs=2), trainer.explain(Events.STARTED))
    for handler in trainer.handlers(Events.EXCEPTION_RAISED):
        print(handler)


def own_lifecycle(folder: Path) -> None:
    def collect(engine: Engine) -> int:
        return int(engine.state.rounds) * 10

    def solved(engine: Engine) -> bool:
        return bool(engine.state.rounds >= 3)

    lifecycle = Lifecycle("ppo")
    with lifecycle.edit():
        lifecycle.add_phase("COLLECT", activity=collect, counter="rounds")
        lifecycle.add_phase(GanEvents.G_STEP, activity=lambda engine: engine.state.output + 1)
        lifecycle.add_path(Events.STARTED >> "COLLECT" >> GanEvents.G_STEP >> "COLLECT")
        lifecycle.add_transition(GanEvents.G_STEP >> Events.COMPLETED, guard=solved)
    player = Engine(lifecycle=lifecycle)
    print(player.run().output, lifecycle.check(), lifecycle.to_markdown())
    lifecycle.draw(folder / "lifecycle.mmd", title="PPO")
    lifecycle.draw(folder / "lifecycle.svg", guards=True, handlers=True, direction="right", theme="dark")
    lifecycle.save(folder / "lifecycle.json")
    loaded = Lifecycle.load(folder / "lifecycle.json", bind={"collect": collect, "solved": solved})
    assert_type(loaded, Lifecycle)
    assert_type(History(Scope.ITERATION), History)
    training = Lifecycle.training()
    training.add_transition(Events.ITERATION_STARTED >> "SKIPPED", error=ValueError, limit=10)
    training.add_exits("SKIPPED", like=Events.ITERATION_COMPLETED)
    training.require(Events.ITERATION_STARTED, before=Events.ITERATION_COMPLETED)
    print(bool(training.diff(loaded)), list(training.to_networkx()))


def formulas() -> MetricsLambda:
    p, r = Precision(average=False), Recall(average=False)
    f1 = 2 * p * r / (p + r)
    assert_type(f1, MetricsLambda)
    assert_type(-f1, MetricsLambda)
    assert_type(f1[0] ** 2 % 3 - p // r, MetricsLambda)
    mean: MetricsLambda = f1.mean()
    total: MetricsLambda = p.sum(dim=0)
    return mean + total * 0


def supervised(folder: Path, data: list[Pair]) -> float:
    model = nn.Linear(8, 2)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

    def prepare(batch: Pair, device: Any, non_blocking: bool) -> Pair:
        return batch

    def outputs(x: Any, y: torch.Tensor, y_pred: torch.Tensor, loss: torch.Tensor) -> float:
        return loss.item()

    trainer = create_supervised_trainer(
        model,
        optimizer,
        criterion,
        "cpu",
        prepare_batch=prepare,
        output_transform=outputs,
        gradient_accumulation_steps=2,
    )
    metrics = {"accuracy": Accuracy(), "loss": Loss(criterion), "f1": formulas()}
    evaluator = create_supervised_evaluator(model, metrics)
    more = create_supervised_evaluator(model, {"accuracy": Accuracy(device=torch.device("cpu"))})
    assert_type(evaluator, Engine)

    def clip() -> None:
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)

    trainer.lifecycle.insert("CLIP", before=StepEvents.OPTIM_STEP_STARTED, activity=clip)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, TerminateOnNan())
    trainer.add_event_handler(Events.ITERATION_COMPLETED, TimeLimit(3600))
    timer = Timer(average=True)
    timer.attach(trainer, start=Events.EPOCH_STARTED, step=Events.ITERATION_COMPLETED)
    RunningAverage(output_transform=lambda output: output).attach(trainer, "loss")
    ProgressBar(persist=False).attach(trainer, ["loss"])
    average = EMAHandler(model, momentum=0.1)
    average.attach(trainer)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=60)
    create_lr_scheduler_with_warmup(cosine, warmup_start_value=0.0, warmup_duration=6).attach(trainer)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, LRScheduler(cosine))

    def score(engine: Engine) -> float:
        return float(engine.state.metrics["f1"])

    EarlyStopping(3, score_function=score, trainer=trainer).attach(evaluator)
    to_save = {"model": model, "optimizer": optimizer, "trainer": trainer}
    checkpoint = Checkpoint(to_save, folder / "checkpoints", n_saved=2)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, checkpoint)
    best = ModelCheckpoint(
        folder / "best", "best", score_function=score, global_step_transform=global_step_from_engine(trainer)
    )
    evaluator.add_event_handler(Events.COMPLETED, best, {"model": model})
    GracefulStop(save=checkpoint).attach(trainer)

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate() -> None:
        evaluator.run(data)
        more.run(data)

    checkpoint.resume()
    with (
        CSVLogger(folder / "training.csv") as csv,
        JSONLinesLogger(folder / "training.jsonl") as lines,
        Watchdog(after=60).attach(trainer),
        trainer.record() as timeline,
    ):
        csv.attach_output_handler(trainer, Events.ITERATION_COMPLETED(every=2), "training", ["loss"])
        lines.attach_opt_params_handler(trainer, Events.ITERATION_STARTED, optimizer)
        trainer.run(data, max_epochs=3)
    look_at(timeline, trainer, folder)
    print(timer.value(), average.ema_model, checkpoint.last_checkpoint)
    return score(evaluator)


def look_at(timeline: Timeline, trainer: Engine, folder: Path) -> None:
    assert_type(timeline, Timeline)
    print(timeline.summary())
    timeline.draw(folder / "timeline.html")
    trainer.lifecycle.draw(folder / "heat.svg", timeline=timeline)
    timeline.save(folder / "run.fsmt")
    earlier = Timeline.load(folder / "run.fsmt")
    assert_type(earlier, Timeline)
    print(earlier.verify(trainer.lifecycle), earlier.diff(timeline))
    timeline.export(folder / "trace.json.gz")


def inspected(data: list[int]) -> None:
    trainer = Engine(lambda engine, batch: batch)
    rate = {"lr": 0.1}

    def set_rate(value: float) -> None:
        rate["lr"] = value

    with trainer.inspect(read_only=False) as inspector:
        assert_type(inspector.address, str)
        inspector.offer("lr", lambda: rate["lr"], set_rate, low=0, high=0.5)
        trainer.run(data, max_epochs=2)
        assert_type(inspector.timeline, Timeline)


def distributed() -> None:
    data = TensorDataset(torch.randn(8, 8), torch.zeros(8).long())
    model = nn.Linear(8, 2)
    with dist.session() as ranks:
        assert_type(ranks, dist.Session)
        loader = ranks.loader(data, 2, shuffle=True, drop_last=True)
        assert_type(loader, DataLoader[Any])
        trainer = create_supervised_trainer(
            dist.auto_model(model), torch.optim.SGD(model.parameters(), lr=0.1), nn.CrossEntropyLoss(), ranks.device
        )
        ranks.attach(trainer)

        @trainer.on(Events.EPOCH_COMPLETED)
        @dist.rank_zero
        def log(engine: Engine) -> None:
            print(engine.state.epoch, ranks.rank, ranks.world_size)

        print(trainer, loader)


def mistakes() -> None:
    """Is never called. Each of these lines is an error: mypy reports a comment ``type: ignore`` that is not needed."""
    trainer = Engine(lambda engine, batch: batch)
    trainer.add_event_handler(Events.STARTED(every="two"), print)  # type: ignore[arg-type]
    trainer.rum([1])  # type: ignore[attr-defined]
    trainer.run([1], max_epochs="two")  # type: ignore[arg-type]
    trainer.lifecycle.add_phase("A", activity=3)  # type: ignore[arg-type]
    (Precision() * 2).maen()  # type: ignore[attr-defined]


def generated() -> Iterator[int]:
    yield from range(4)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    assert_type(fsm_engine.__version__, str)
    print(events_and_filters())
    run_and_resume([1, 2, 3])
    Engine(lambda engine, batch: batch).run(generated(), max_iters=4, epoch_length=2)
    own_lifecycle(folder)
    print(supervised(folder, batches()))
    inspected([1, 2, 3])
    distributed()
    longest = Longest()
    engine = Engine(lambda engine, batch: batch)
    longest.attach(engine, "longest")
    print(engine.run([[1], [1, 2]]).metrics)


if __name__ == "__main__":
    main()
