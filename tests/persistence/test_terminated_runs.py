"""A run that was terminated continues exactly when another process loads it, whatever asked for the stop and when."""

from __future__ import annotations

import copy
import io
import logging
import random
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import pytest

from fsm_engine import Engine, EventEnum, Events, Lifecycle

torch = pytest.importorskip("torch")
pytest.importorskip("torchmetrics")
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from fsm_engine import DeterministicEngine  # noqa: E402
from fsm_engine.handlers import EarlyStopping, TimeLimit, time_limit  # noqa: E402
from fsm_engine.metrics import Accuracy, RunningAverage  # noqa: E402

SIZE, BATCH, LENGTH, EPOCHS = 11, 2, 5, 2
"""6 batches in a pass and 5 in an epoch, so that passes span the ends of epochs."""

EVENTS = [event for event in Events if event not in (Events.EXCEPTION_RAISED, Events.INTERRUPT)]


def dataset() -> TensorDataset:
    generator = torch.Generator().manual_seed(3)
    return TensorDataset(torch.randn(SIZE, 3, generator=generator), torch.randint(0, 2, (SIZE,), generator=generator))


def stateful() -> Any:
    loaders = pytest.importorskip("torchdata.stateful_dataloader")
    return loaders.StatefulDataLoader(dataset(), batch_size=BATCH, shuffle=True)


DATA: dict[str, Callable[[], Any]] = {
    "plain": lambda: DataLoader(dataset(), batch_size=BATCH, shuffle=True),
    "stateful": stateful,
}


class Job:
    """A training script whose handlers draw random numbers at every event, and use the data once more at the end."""

    def __init__(self, kind: str, factory: type[Engine] = Engine) -> None:
        torch.manual_seed(0)
        random.seed(0)
        self.weights = torch.zeros(3)
        self.data = DATA[kind]()
        self.trainer = factory(self.step)
        self.trainer.resumes_exactly = True
        self.stop: Callable[[], None] | None = None
        self.log: list[tuple[Any, ...]] = []
        RunningAverage(output_transform=lambda output: output[2]).attach(self.trainer, "loss")
        Accuracy(output_transform=lambda output: output[:2]).attach(self.trainer, "accuracy")
        for event in EVENTS:
            self.trainer.add_event_handler(event, self.note, event)
        self.trainer.add_event_handler(Events.COMPLETED(once=1), lambda: self.log.append(("the first end",)))
        self.trainer.add_event_handler(Events.COMPLETED, lambda: list(self.data))

    def step(self, engine: Engine, batch: Any) -> Any:
        if self.stop is not None:
            self.stop()
        inputs, target = batch
        predicted = (inputs @ self.weights + torch.rand(1) > 0.5).long()
        self.weights += 0.1 * (inputs * (target - predicted).unsqueeze(1)).mean(0) + 0.01 * torch.rand(3)
        return predicted, target, float(self.weights.sum())

    def note(self, engine: Engine, event: Any) -> None:
        if event is not Events.RESUMED:  # which the undisturbed run does not fire
            torch.rand(1)
            random.random()
        state = engine.state
        self.log.append(
            (event.name, state.epoch, state.iteration, {name: float(v) for name, v in state.metrics.items()})
        )

    def run(self, max_epochs: int | None = EPOCHS, driver: str = "compiled") -> Job:
        self.trainer.run(self.data, max_epochs=max_epochs, epoch_length=LENGTH, driver=driver)
        return self

    def save(self) -> bytes:
        file = io.BytesIO()
        torch.save({"weights": self.weights, "trainer": self.trainer.state_dict()}, file)
        return file.getvalue()

    def load(self, saved: bytes) -> Job:
        checkpoint = torch.load(io.BytesIO(saved), weights_only=True)
        torch.manual_seed(99)  # the new process has drawn other random numbers
        random.seed(99)
        self.weights = checkpoint["weights"]
        self.trainer.load_state_dict(checkpoint["trainer"])
        return self

    def saved_at_the_end(self) -> dict[str, bytes]:
        """Run until the run is terminated; return the file saved at each event since, and after the run."""
        saved: dict[str, bytes] = {}

        def save(engine: Engine, event: Any) -> None:
            if engine.should_terminate:
                saved[event.name] = self.save()

        for event in EVENTS:
            handler = lambda engine, event: engine.call_when_safe(partial(save, event=event))  # noqa: E731
            self.trainer.add_event_handler(event(priority=-1), handler, event)
        self.run()
        assert self.trainer.outcome == "terminated"
        saved["after the run"] = self.save()
        return saved


Stop = Callable[[Job, pytest.MonkeyPatch], None]


def at(event: Any) -> Stop:
    """Terminate at an event."""
    return lambda job, _: job.trainer.add_event_handler(event, lambda engine, *_: engine.terminate()) and None


def in_the_step(job: Job, _: pytest.MonkeyPatch) -> None:
    calls = count(1)
    job.stop = lambda: job.trainer.terminate() if next(calls) == 8 else None


def by_time_limit(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    state = job.trainer.state
    monkeypatch.setattr(time_limit, "running_time", lambda: 100.0 * (state.iteration >= 3))
    job.trainer.add_event_handler(Events.ITERATION_COMPLETED, TimeLimit(50))


def without_completed(job: Job, _: pytest.MonkeyPatch) -> None:
    job.trainer.add_event_handler(Events.ITERATION_COMPLETED(once=4), lambda e: e.terminate(skip_completed=True))


STOPS: dict[str, Stop] = {
    "time limit": by_time_limit,
    "step": in_the_step,
    "skipping COMPLETED": without_completed,
    "STARTED": at(Events.STARTED),
    **{
        f"{event.name} {number}": at(event(once=number))
        for event, number in [
            (Events.EPOCH_STARTED, 1),
            (Events.EPOCH_STARTED, 2),
            (Events.GET_BATCH_STARTED, 7),
            (Events.GET_BATCH_COMPLETED, 2),
            (Events.ITERATION_STARTED, 7),
            (Events.ITERATION_COMPLETED, 5),
            (Events.ITERATION_COMPLETED, 6),
            (Events.ITERATION_COMPLETED, 10),
            (Events.DATALOADER_STOP_ITERATION, 1),
            (Events.EPOCH_COMPLETED, 1),
            (Events.EPOCH_COMPLETED, 2),
        ]
    },
}


@pytest.fixture(scope="module")
def undisturbed() -> Callable[[str, type[Engine], int], Job]:
    jobs: dict[Any, Job] = {}

    def job(kind: str, factory: type[Engine], max_epochs: int) -> Job:
        key = kind, factory, max_epochs
        if key not in jobs:
            jobs[key] = Job(kind, factory).run(max_epochs)
        return jobs[key]

    return job


@pytest.mark.parametrize(("kind", "factory"), [("plain", Engine), ("stateful", Engine), ("plain", DeterministicEngine)])
@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")  # by torchdata
def test_a_terminated_run_continues_as_if_it_had_not_been_stopped(
    kind: str, factory: type[Engine], stop: str, undisturbed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = Job(kind, factory)
    STOPS[stop](stopped, monkeypatch)
    saved = stopped.saved_at_the_end()
    done = [entry[0] for entry in stopped.log].index("TERMINATE")
    assert len(saved) == (3 if stop == "skipping COMPLETED" else 4)  # the event, TERMINATE, COMPLETED, and afterwards
    for place, file in saved.items():
        for given, limit in ((None if place == "TERMINATE" else EPOCHS, EPOCHS), (EPOCHS + 1, EPOCHS + 1)):
            expected = undisturbed(kind, factory, limit)
            resumed = Job(kind, factory).load(file)
            if stop == "time limit":  # which counts from the start of the process
                resumed.trainer.add_event_handler(Events.ITERATION_COMPLETED, TimeLimit(50))
            resumed.run(given)
            first, *events = resumed.log
            assert (place, first[0], events) == (place, "RESUMED", expected.log[done:])
            assert (resumed.weights.tolist(), resumed.trainer.outcome) == (expected.weights.tolist(), "completed")


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
def test_a_run_that_is_terminated_again_and_again_equals_an_undisturbed_one(driver: str, undisturbed: Any) -> None:
    expected, log, file = undisturbed("plain", Engine, EPOCHS), [], None
    for event in (
        Events.ITERATION_COMPLETED(once=3),
        Events.EPOCH_COMPLETED(once=1),
        Events.RESUMED,
        Events.ITERATION_COMPLETED(once=7),
        Events.EXCEPTION_RAISED,  # never
    ):
        job = Job("plain")
        if file is not None:
            job.load(file)
        job.trainer.add_event_handler(event, lambda engine, *_: engine.terminate())
        job.run(driver=driver)
        file = job.save()
        log += [entry for entry in job.log if entry[0] not in ("TERMINATE", "COMPLETED", "RESUMED", "the first end")]
    assert job.trainer.outcome == "completed"
    ends = ("COMPLETED", "the first end")
    assert log == [entry for entry in expected.log if entry[0] not in ends]
    assert job.weights.tolist() == expected.weights.tolist()


def test_a_second_run_in_the_same_process_continues_with_the_next_epoch() -> None:
    log: list[int] = []
    engine = Engine(lambda engine, batch: log.append(batch))
    engine.resumes_exactly = True
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: engine.terminate())
    engine.run([1, 2, 3], max_epochs=2)
    engine.run([1, 2, 3])
    assert (log, engine.outcome) == ([1, 2, 1, 2, 3], "completed")


def test_a_terminated_run_of_a_user_lifecycle_continues_in_the_phase_that_it_left() -> None:
    class Play(EventEnum):
        COLLECT = "collect"
        LEARN = "learn"

    def made(stop: bool) -> tuple[Engine, list[Any], list[Any]]:
        log: list[Any] = []
        lifecycle = Lifecycle("play")
        lifecycle.add_phase(Play.COLLECT, lambda engine: log.append("collects"), counter="rounds")
        lifecycle.add_phase(Play.LEARN, lambda engine: log.append(engine.state.rounds))
        lifecycle.add_path(Events.STARTED >> Play.COLLECT >> Play.LEARN >> Events.COMPLETED)
        lifecycle.add_transition(Play.LEARN >> Play.COLLECT, guard=lambda engine: engine.state.rounds < 3, label="on")
        engine, saved = Engine(lifecycle=lifecycle), []  # type: ignore[var-annotated]
        engine.resumes_exactly = True
        if stop:
            engine.add_event_handler(Play.LEARN(once=2), lambda e: e.terminate())
        engine.add_event_handler(Events.COMPLETED, lambda e: e.call_when_safe(lambda e: saved.append(e.state_dict())))
        engine.run()
        return engine, log, saved

    _, undisturbed, _ = made(False)
    stopped, log, saved = made(True)
    other = copy.deepcopy(stopped)
    for state in (*saved, stopped.state_dict()):
        del log[3:]
        other.load_state_dict(state)
        other.run()
        assert log == undisturbed


def test_a_run_that_needs_a_batch_that_is_not_plain_data_cannot_be_saved() -> None:
    engine = Engine(lambda engine, batch: batch)
    engine.resumes_exactly = True
    engine.add_event_handler(Events.GET_BATCH_COMPLETED, lambda e: e.terminate())
    engine.run([object()])
    with pytest.raises(ValueError, match=r"batch in GET_BATCH_COMPLETED contains object.* ITERATION_COMPLETED"):
        engine.state_dict()


def messages(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records)


def test_the_log_says_that_a_terminated_run_continues(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    stopped = Job("plain")
    at(Events.ITERATION_COMPLETED(once=7))(stopped, pytest.MonkeyPatch())
    file = stopped.saved_at_the_end()["COMPLETED"]
    caplog.clear()
    Job("plain").load(file).run()
    assert "resuming after it was terminated in ITERATION_COMPLETED, iteration 7, epoch 2" in messages(caplog)
    assert "at once" not in messages(caplog)


@pytest.mark.parametrize("event", [Events.EPOCH_COMPLETED, Events.COMPLETED], ids=str)
@pytest.mark.parametrize("is_terminated", [False, True], ids=["completed", "terminated"])
def test_a_run_that_has_reached_its_limits_ends_at_once_and_the_log_says_how_to_go_further(
    event: Any, is_terminated: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    saved: list[Any] = []

    def made() -> tuple[Engine, list[Any]]:
        log: list[Any] = []
        engine = Engine(lambda engine, batch: log.append(batch))
        engine.resumes_exactly = True
        engine.add_event_handler(Events.COMPLETED, lambda: log.append("COMPLETED"))
        return engine, log

    engine, _ = made()
    if is_terminated:
        engine.add_event_handler(Events.EPOCH_COMPLETED(once=2), lambda e: e.terminate())
    engine.add_event_handler(
        event, lambda e: e.call_when_safe(lambda e: saved.append(e.state_dict())) if e.state.epoch == 2 else None
    )
    engine.run([1, 2], max_epochs=2)
    caplog.clear()
    for given, expected in ((None, ["COMPLETED"]), (2, ["COMPLETED"]), (3, [1, 2, "COMPLETED"])):
        caplog.clear()
        other, log = made()
        other.load_state_dict(saved[0])
        other.run([1, 2], max_epochs=given)
        assert (log, other.outcome) == (expected, "completed")
        assert ("at once" in messages(caplog) and "higher limit than max_epochs=2" in messages(caplog)) == (given != 3)


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")  # by torchdata
def test_a_run_that_ended_inside_a_pass_continues_with_its_next_batches(kind: str) -> None:
    def made() -> tuple[Engine, list[Any], list[Any], Any]:
        torch.manual_seed(0)
        steps: list[Any] = []
        saved: list[Any] = []
        engine = Engine(lambda engine, batch: steps.append((engine.state.epoch, batch[0].tolist())))
        engine.resumes_exactly = True
        for event in (Events.TERMINATE, Events.COMPLETED):
            engine.add_event_handler(event, lambda e: e.call_when_safe(lambda e: saved.append(e.state_dict())))
        return engine, steps, saved, DATA[kind]()

    undisturbed, expected, _, data = made()
    undisturbed.run(data, max_iters=17)
    engine, _, saved, data = made()
    engine.run(data, max_iters=8)
    idle, _, saved_again, data = made()
    idle.load_state_dict(saved[-1])
    idle.run(data, max_iters=8)
    for state in [*saved, engine.state_dict(), *saved_again, idle.state_dict()]:
        resumed, steps, _, data = made()
        torch.manual_seed(99)
        random.seed(99)
        resumed.load_state_dict(state)
        resumed.run(data, max_iters=17)
        assert steps[:4] == expected[8:12]  # the rest of the pass
        assert [epoch for epoch, _ in steps] == [epoch for epoch, _ in expected[8:]]


# Early stopping


def stopping_job(patience: int) -> tuple[Engine, Engine, list[Any]]:
    """Make a trainer whose score improves twice in 6 epochs, and whose evaluator has early stopping."""
    scores = {1: 0.1, 2: 0.2, 3: 0.2, 4: 0.2, 5: 0.3, 6: 0.3}
    log: list[Any] = []
    trainer, evaluator = Engine(lambda engine, batch: log.append(batch)), Engine(lambda engine, batch: None)
    trainer.resumes_exactly = evaluator.resumes_exactly = True
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([1]))
    stopping = EarlyStopping(patience, lambda engine: scores[trainer.state.epoch], trainer)
    evaluator.add_event_handler(Events.COMPLETED, stopping)
    trainer.add_event_handler(Events.COMPLETED, lambda: log.append("COMPLETED"))
    return trainer, evaluator, log


@pytest.mark.parametrize("event", [Events.EPOCH_COMPLETED, Events.TERMINATE, Events.COMPLETED], ids=str)
@pytest.mark.parametrize("trainer_first", [True, False])
def test_early_stopping_ends_a_loaded_run_unless_it_has_patience(
    event: Any, trainer_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    trainer, evaluator, log = stopping_job(2)
    saved: list[Any] = []
    trainer.add_event_handler(
        event, lambda e: e.call_when_safe(lambda e: saved.append((e.state_dict(), evaluator.state_dict())))
    )
    trainer.run([7], max_epochs=6)
    assert log == [7, 7, 7, 7, "COMPLETED"]
    for patience, events, epoch in ((2, ["COMPLETED"], 4), (3, [7, 7, "COMPLETED"], 6)):
        caplog.clear()
        files = [saved[-1]]
        while files:
            trainer, evaluator, log = stopping_job(patience)
            loads = [(trainer, files[0][0]), (evaluator, files.pop()[1])]
            for engine, state in loads if trainer_first else reversed(loads):
                engine.load_state_dict(state)
            trainer.run([7], max_epochs=6)
            assert (log, trainer.state.epoch) == (events, epoch)
        text = "not improved on 0.2 in 2 calls when the run was saved, so it ends at once"
        assert (text in messages(caplog) and "a higher patience than 2" in messages(caplog)) == (patience == 2)


def test_a_run_that_early_stopping_ended_twice_continues_from_the_same_place() -> None:
    trainer, evaluator, log = stopping_job(2)
    trainer.run([7], max_epochs=6)
    for patience, events in ((2, ["COMPLETED"]), (3, [7, 7, "COMPLETED"])):
        states = trainer.state_dict(), evaluator.state_dict()
        trainer, evaluator, log = stopping_job(patience)
        trainer.load_state_dict(states[0])
        evaluator.load_state_dict(states[1])
        trainer.run([7], max_epochs=6)
        assert log == events
