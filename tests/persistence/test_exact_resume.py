"""State dicts of engines that resume exactly: a resumed run equals the run that was not stopped."""

from __future__ import annotations

import copy
import io
import logging
import pickle
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lifecycles import Building, Plan, built, plan_of, plans
from programs import Requests, Sized

from fsm_engine import BusyError, Engine, EventEnum, Events, Lifecycle, Scope, StepEvents

numpy = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset, WeightedRandomSampler  # noqa: E402
from torch.utils.data.distributed import DistributedSampler  # noqa: E402

from fsm_engine import DeterministicEngine, create_supervised_trainer  # noqa: E402

SIZE, BATCH, EPOCHS, LENGTH = 22, 4, 2, 5
"""6 batches in a pass and 5 in an epoch, so that passes span the ends of epochs."""


class Mine(EventEnum):
    HALF = "half"


def dataset() -> TensorDataset:
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(SIZE, 3, generator=generator)
    return TensorDataset(inputs, torch.randint(0, 2, (SIZE,), generator=generator))


def batch_sampled() -> DataLoader[Any]:
    return DataLoader(dataset(), batch_sampler=BatchSampler(RandomSampler(dataset()), BATCH, drop_last=False))


def own_generators() -> DataLoader[Any]:
    sampler = RandomSampler(dataset(), generator=torch.Generator().manual_seed(5))
    return DataLoader(dataset(), batch_size=BATCH, sampler=sampler, generator=torch.Generator().manual_seed(6))


def distributed() -> DataLoader[Any]:
    sampler = DistributedSampler(dataset(), num_replicas=1, rank=0)
    return DataLoader(dataset(), batch_size=BATCH, sampler=sampler)


def stateful() -> Any:
    loaders = pytest.importorskip("torchdata.stateful_dataloader")
    return loaders.StatefulDataLoader(dataset(), batch_size=BATCH, shuffle=True)


class Endless:
    """Data without a length that draws its order at the beginning of each pass."""

    def __iter__(self) -> Iterator[Any]:
        order = torch.randperm(SIZE // BATCH, generator=torch.Generator().manual_seed(1))
        return (dataset()[n : n + BATCH] for n in order.tolist())


DATA: dict[str, Callable[[], Any]] = {
    "list": lambda: [dataset()[n : n + BATCH] for n in range(0, SIZE, BATCH)],
    "shuffled": lambda: DataLoader(dataset(), batch_size=BATCH, shuffle=True),
    "weighted": lambda: DataLoader(
        dataset(), batch_size=BATCH, sampler=WeightedRandomSampler([1.0] * SIZE, SIZE, replacement=True)
    ),
    "batch_sampled": batch_sampled,
    "own_generators": own_generators,
    "distributed": distributed,
    "stateful": stateful,
    "no_length": Endless,
}


class Job:
    """A training script: a model with dropout, handlers that draw random numbers, and a log."""

    def __init__(self, kind: str, factory: type[Engine] = Engine) -> None:
        torch.manual_seed(0)
        random.seed(0)
        self.model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
        self.optimizer = torch.optim.Adam(self.model.parameters(), 0.05)
        self.data = DATA[kind]()
        self.trainer = factory(self.step)
        self.trainer.resumes_exactly = True
        self.log: list[tuple[Any, ...]] = []
        phases = [phase.event for phase in self.trainer.lifecycle.phases[1:]]
        for event in phases:
            if event not in (Events.EXCEPTION_RAISED, Events.RESUMED, Events.INTERRUPT):
                self.trainer.add_event_handler(event, self.note, event)
        self.trainer.register_events(Mine.HALF)
        self.trainer.add_event_handler(Events.ITERATION_COMPLETED(every=2), lambda e: e.fire_event(Mine.HALF))
        self.trainer.add_event_handler(Mine.HALF(every=3), self.note, Mine.HALF)
        sampler = getattr(self.data, "sampler", None)
        if isinstance(sampler, DistributedSampler):
            self.trainer.add_event_handler(Events.EPOCH_STARTED, lambda e: sampler.set_epoch(e.state.epoch))

    def step(self, engine: Engine, batch: Any) -> float:
        inputs, target = batch
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(inputs), target)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def note(self, engine: Engine, event: Any) -> None:
        torch.rand(1)
        random.random()
        self.log.append((str(event), engine.state.epoch, engine.state.iteration, engine.state.output))

    def run(self) -> Job:
        self.trainer.run(self.data, max_epochs=EPOCHS, epoch_length=LENGTH)
        return self

    def weights(self) -> list[Any]:
        return [parameter.tolist() for parameter in self.model.parameters()]

    def save(self) -> bytes:
        file = io.BytesIO()
        parts = {"model": self.model, "optimizer": self.optimizer, "trainer": self.trainer}
        torch.save({name: part.state_dict() for name, part in parts.items()}, file)
        return file.getvalue()

    def load(self, saved: bytes) -> Job:
        checkpoint = torch.load(io.BytesIO(saved), weights_only=True)
        torch.manual_seed(99)  # the new process has drawn other random numbers
        random.seed(99)
        self.model.load_state_dict(checkpoint["model"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.trainer.load_state_dict(checkpoint["trainer"])
        return self


def save_everywhere(job: Job) -> list[tuple[str, int, bytes]]:
    """Save the job at every event of the run; return the place, the length of the log, and the file of each save."""
    saved: list[tuple[str, int, bytes]] = []

    def now(event: Any, engine: Engine) -> None:
        saved.append((f"{event} {engine.state.iteration}", len(job.log), job.save()))

    for phase in job.trainer.lifecycle.phases:
        if phase.scope is not None and str(phase.scope) in ("run", "epoch", "iteration"):
            job.trainer.add_event_handler(
                phase.event, lambda engine, event: engine.call_when_safe(partial(now, event)), phase.event
            )
    return saved


@pytest.mark.parametrize(
    ("kind", "factory"),
    [*((kind, Engine) for kind in DATA), *((kind, DeterministicEngine) for kind in ("list", "shuffled", "stateful"))],
)
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")  # by torchdata
def test_a_resumed_run_equals_the_run_that_was_not_stopped(kind: str, factory: type[Engine]) -> None:
    undisturbed, saving = Job(kind, factory).run(), Job(kind, factory)
    saves = save_everywhere(saving)
    saving.run()
    assert (saving.log, saving.weights()) == (undisturbed.log, undisturbed.weights())
    for place, done, saved in saves:
        resumed = Job(kind, factory).load(saved).run()
        assert (place, resumed.log, resumed.weights()) == (place, undisturbed.log[done:], undisturbed.weights())
    assert len(saves) > 4 * EPOCHS * LENGTH


@pytest.mark.slow
def test_a_run_with_workers_resumes_from_every_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATA, "workers", lambda: DataLoader(dataset(), batch_size=BATCH, shuffle=True, num_workers=1))
    undisturbed, saving = Job("workers").run(), Job("workers")
    saves = save_everywhere(saving)
    saving.run()
    for place, done, saved in saves[::9]:
        resumed = Job("workers").load(saved).run()
        assert (place, resumed.log, resumed.weights()) == (place, undisturbed.log[done:], undisturbed.weights())


def test_the_state_dict_of_a_suspended_run_has_an_exact_position() -> None:
    undisturbed, job = Job("shuffled").run(), Job("shuffled")
    job.trainer.add_event_handler(Events.GET_BATCH_COMPLETED(once=8), lambda engine: engine.interrupt())
    job.run()
    assert job.trainer.outcome == "interrupted"
    saved = job.save()
    resumed = Job("shuffled").load(saved).run()
    assert job.log + resumed.log == undisturbed.log
    assert resumed.weights() == undisturbed.weights()


def test_a_step_made_of_phases_resumes_exactly() -> None:
    def trained(stop: int | None) -> tuple[Any, list[Any]]:
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss())
        trainer.resumes_exactly = True
        saved: list[Any] = []

        def save(engine: Engine) -> None:
            saved.append(({k: v.clone() for k, v in model.state_dict().items()}, engine.state_dict()))

        if stop is not None:
            event = StepEvents.BACKWARD_COMPLETED(event_filter=lambda engine, _: engine.state.iteration == stop)
            trainer.add_event_handler(event, lambda engine: engine.call_when_safe(save))
        loader = DataLoader(dataset(), batch_size=BATCH, shuffle=True)
        trainer.run(loader, max_epochs=2)
        for weights, state in saved:
            torch.manual_seed(7)
            model.load_state_dict(weights)
            trainer.load_state_dict(state)
            trainer.run(loader, max_epochs=2)
        return model.weight.tolist(), [(s["iteration"], s["position"]["suspended_at"]) for _, s in saved]

    undisturbed, _ = trained(None)
    # A save requested inside the step is made after the iteration.
    assert trained(4) == (undisturbed, [(4, ["Events.ITERATION_COMPLETED", 1])])


@pytest.mark.parametrize(
    "given", [{"gradient_accumulation_steps": 3}, {"device": "cpu", "amp_mode": "amp", "scaler": True}], ids=str
)
def test_accumulated_gradients_and_the_gradient_scaler_are_saved(given: dict[str, Any]) -> None:
    def made() -> tuple[Any, Any, Engine]:
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss(), **given)
        trainer.resumes_exactly = True
        return model, trainer._process_function, trainer

    def end(model: Any, step: Any, trainer: Engine) -> tuple[Any, ...]:
        trainer.run(DATA["list"](), max_epochs=2)
        return model.weight.tolist(), getattr(step, "scaler", None) and step.scaler.state_dict()

    saved: list[bytes] = []
    model, step, trainer = made()
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED,
        lambda e: e.call_when_safe(lambda e: saved.append(dumped([model.state_dict(), e.state_dict()]))),
    )
    undisturbed = end(model, step, trainer)
    kept = []
    for file in saved:
        other, step, trainer = made()
        weights, progress = torch.load(io.BytesIO(file), weights_only=True)
        other.load_state_dict(weights)
        trainer.load_state_dict(progress)
        kept.append(len(progress["step"]["gradients"]))
        assert end(other, step, trainer) == undisturbed
    assert kept == ([2, 2, 0] * 4 if "gradient_accumulation_steps" in given else [0] * 12)


def test_a_user_lifecycle_resumes_exactly() -> None:
    class Play(EventEnum):
        COLLECT = "collect"
        LEARN = "learn"

    def played(stop: int | None) -> list[Any]:
        lifecycle = Lifecycle("play")
        lifecycle.add_phase(Play.COLLECT, random.random, counter="rounds")
        lifecycle.add_phase(Play.LEARN, random.random)
        lifecycle.add_path(Events.STARTED >> Play.COLLECT >> Play.LEARN >> Events.COMPLETED)
        lifecycle.add_transition(Play.LEARN >> Play.COLLECT, guard=lambda engine: engine.state.rounds < 4, label="on")
        engine = Engine(lifecycle=lifecycle)
        engine.resumes_exactly = True
        log: list[Any] = []
        saved: list[Any] = []
        engine.add_event_handler(Play.LEARN, lambda e: log.append((e.state.rounds, e.state.output)))
        if stop:
            engine.add_event_handler(
                Play.LEARN(event_filter=lambda e, _: e.state.rounds == stop),
                lambda e: e.call_when_safe(lambda e: saved.append((len(log), e.state_dict()))),
            )
        random.seed(1)
        engine.run()
        for done, state in list(saved):
            del log[done:]
            saved.clear()
            random.seed(2)
            engine.load_state_dict(state)
            engine.run()
        return log

    assert len(played(None)) == 4
    assert played(2) == played(3) == played(None)


# Random lifecycles, with errors and requests at random places


PLACES = st.integers(1, 40)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=plans(), times=st.sets(PLACES, min_size=3, max_size=4))
@example(plan=plan_of(2454144), times={34, 36})  # an error edge leads past the phase that opens the data
@example(plan=plan_of(6530), times={9})  # the history of the run leads from a recovery phase back into the step
def test_random_lifecycles_resume_from_any_place(plan: Plan, times: set[int]) -> None:
    assert_resumes(plan, times)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=plans(), times=st.sets(PLACES, min_size=1, max_size=2))
def test_thousands_of_random_lifecycles_resume_from_any_place(plan: Plan, times: set[int]) -> None:
    assert_resumes(plan, times)


def assert_resumes(plan: Plan, times: set[int]) -> None:
    """Run `plan`, save at these calls of handlers, resume each save in a new engine, and compare the logs."""
    plan = repeatable(plan)
    saved: list[tuple[int, bytes, Any, int]] = []
    building = built(plan)
    calls = count()

    def save(engine: Engine) -> None:
        if next(calls) in times and engine.phase.event is not Events.EXCEPTION_RAISED:
            saved.append((len(building.log), dumped(engine.state_dict()), copy.deepcopy(progress_of(building)), number))

    attach_last(building, lambda engine: engine.call_when_safe(save))
    for number in range(plan.runs):
        run_once(building, number)
    whole = building.log
    for done, state, of_the_plan, first in saved:
        building.make_engine()
        attach_last(building, lambda engine: None)
        values = torch.load(io.BytesIO(state), weights_only=True)
        building.engine.load_state_dict(values)
        if values["ended"] or building.engine.phase.name == "IDLE":
            continue  # a loaded run continues after terminate(), unlike the run that was saved
        vars(building).update(of_the_plan)
        for rest in range(first, plan.runs):
            run_once(building, rest)
        assert without_old_batches(building.log) == without_old_batches(whole[done:])


def repeatable(plan: Plan) -> Plan:
    """Remove the actions that a run resumed in another process cannot repeat."""
    places = ("fetch", "guard", "RESUMED")
    acts = {
        key: act
        for key, act in plan.acts.items()
        if key[0] not in places and act not in ("attach", "detach", "fire") and "interrupt" not in act
    }
    observed = tuple(name for name in plan.observed if name not in ("RESUMED", "EXCEPTION_RAISED"))
    kind = "sized" if plan.kind == "generator" else plan.kind
    return replace(plan, acts=acts, moves=(), watched=False, observed=observed, kind=kind)


def progress_of(building: Building) -> dict[str, Any]:
    """Return the attributes that decide the next actions of the plan."""
    return {name: getattr(building, name) for name in ("_counts", "_rng")}


def attach_last(building: Building, handler: Callable[[Engine], None]) -> None:
    building.engine.resumes_exactly = True
    for phase in building.engine.lifecycle.phases[1:]:
        if phase.event is not Events.RESUMED:
            building.engine.add_event_handler(phase.event(priority=-1), lambda engine, *_, **__: handler(engine))


def run_once(building: Building, number: int) -> None:
    plan = building.plan
    data = {"list": [*range(10, 10 + plan.length)], "sized": Sized(plan.length, Requests()), "none": None}[plan.kind]
    length = plan.epoch_length or (2 if data is None else None)
    limits = {"max_epochs": 2, "epoch_length": length} if building.engine.lifecycle.graph.has_epochs else {}
    building._run(data, limits, ("compiled", "transitions")[number % 2])


def without_old_batches(log: list[Any]) -> list[Any]:
    """Remove batches whose iteration has ended, and copies of the whole state, which contain them."""
    current = ("GET_BATCH_COMPLETED", "ITERATION_STARTED")
    whole = [entry for entry in log if not _holds_state(entry)]
    return [entry[:4] + entry[5:] if len(entry) == 6 and entry[0] not in current else entry for entry in whole]


def _holds_state(entry: Any) -> bool:
    return isinstance(entry, tuple) and len(entry) == 3 and str(entry[2]).startswith("{")


def dumped(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


# Handlers


class Counter:
    """A stateful handler that counts its calls."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1

    def method(self) -> None:
        self.count += 1

    def state_dict(self) -> dict[str, int]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.count = state["count"]


def test_handlers_are_saved_however_they_are_attached() -> None:
    def made() -> tuple[Engine, list[Counter]]:
        engine, counters = Engine(lambda engine, batch: batch), [Counter() for _ in range(4)]
        engine.resumes_exactly = True
        owned = SimpleNamespace(owner=counters[3])
        handlers = [counters[0], counters[1].method, partial(counters[2]), lambda: owned.owner.method()]
        handlers[3].owner = counters[3]  # type: ignore[attr-defined]
        for number, handler in enumerate(handlers):
            engine.add_event_handler(Events.ITERATION_COMPLETED(every=number + 1), handler)
        engine.add_event_handler(Events.EPOCH_COMPLETED, counters[0])  # attached twice, saved once
        return engine, counters

    engine, _ = made()
    engine.run(range(12))
    state = engine.state_dict()
    assert state["handlers"] == {
        "Counter": {"count": 13},
        "Counter#2": {"count": 6},
        "Counter#3": {"count": 4},
        "Counter#4": {"count": 3},
    }
    other, fresh = made()
    other.load_state_dict(state)
    assert [counter.count for counter in fresh] == [13, 6, 4, 3]


def test_a_handler_may_save_the_engine_in_its_own_state(caplog: pytest.LogCaptureFixture) -> None:
    class Trainer:
        def __init__(self) -> None:
            self.engine, self.seen = Engine(lambda engine, batch: batch), 0
            self.engine.resumes_exactly = True
            self.engine.add_event_handler(Events.ITERATION_COMPLETED, self.see)

        def see(self) -> None:
            self.seen += 1

        def state_dict(self) -> dict[str, Any]:
            return {"engine": self.engine.state_dict(), "seen": self.seen}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.engine.load_state_dict(state["engine"])
            self.seen = state["seen"]

    trainer, other = Trainer(), Trainer()
    trainer.engine.run([1, 2])
    other.load_state_dict(trainer.state_dict())
    assert (other.seen, other.engine.state.iteration, caplog.records) == (2, 2, [])


def test_handlers_and_states_without_a_counterpart_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Other(Counter):
        pass

    engine, other = Engine(lambda engine, batch: batch), Engine(lambda engine, batch: batch)
    engine.resumes_exactly = True
    engine.add_event_handler(Events.STARTED, Counter())
    other.add_event_handler(Events.STARTED, Other())
    engine.run([1])
    other.load_state_dict(engine.state_dict())
    unused, fresh = (record.getMessage() for record in caplog.records)
    assert "saved state of Counter is ignored" in unused
    assert "Attach handlers before loading" in unused
    assert "No saved state for Other" in fresh


def test_models_and_optimizers_are_not_saved_as_handlers() -> None:
    engine, model = Engine(lambda engine, batch: batch), nn.Linear(1, 1)
    engine.resumes_exactly = True
    engine.add_event_handler(Events.STARTED, lambda: None)
    engine.add_event_handler(Events.EPOCH_STARTED, model.train, True)
    engine.add_event_handler(Events.COMPLETED, engine.terminate)
    assert engine.state_dict()["handlers"] == {}


# call_when_safe


def test_callbacks_are_called_after_the_handlers_and_before_signals_are_handled() -> None:
    engine, log = Engine(lambda engine, batch: log.append("step")), []  # type: ignore[var-annotated]

    @engine.on(Events.ITERATION_STARTED)
    def first(engine: Engine) -> None:
        engine.call_when_safe(lambda e: log.append(f"called in {e.phase}"))
        engine.call_when_safe(lambda e: e.call_when_safe(lambda _: log.append("added by a callback")))
        engine.terminate()
        log.append("first")

    engine.add_event_handler(Events.ITERATION_STARTED, lambda: log.append("second"))
    engine.add_event_handler(Events.TERMINATE, lambda: log.append("terminate"))
    engine.run([1])
    assert log == ["first", "second", "called in ITERATION_STARTED", "added by a callback", "terminate"]


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
def test_every_event_of_a_run_is_followed_by_a_safe_place(driver: str) -> None:
    def step(engine: Engine, batch: int) -> None:
        if batch == 3:
            raise ValueError("three")

    engine, called = Engine(step), []  # type: ignore[var-annotated]
    for phase in engine.lifecycle.phases[1:]:
        if phase.event is not Events.EXCEPTION_RAISED:
            engine.add_event_handler(
                phase.event,
                lambda e, event: e.call_when_safe(lambda e: called.append((event, e.phase.event))),
                phase.event,
            )
    engine.add_event_handler(
        Events.EXCEPTION_RAISED,
        lambda e, error: e.call_when_safe(lambda e: called.append((str(error), e.phase.event))),
    )
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), lambda e: e.interrupt())
    engine.run([1, 2], max_epochs=2, epoch_length=3, driver=driver)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda e: e.terminate_epoch())
    engine.run(driver=driver)
    engine.state.max_epochs = None
    engine.run([3], driver=driver)
    elsewhere = [(event, place) for event, place in called if event != place]
    assert elsewhere == [(Events.TERMINATE_SINGLE_EPOCH, Events.EPOCH_COMPLETED), ("three", Events.EXCEPTION_RAISED)]
    assert {place for _, place in called} == {
        phase.event
        for phase in engine.lifecycle.phases[1:]
        if phase.event not in (Events.TERMINATE, Events.TERMINATE_SINGLE_EPOCH)
    }


def test_callbacks_of_an_evaluator_are_called_before_callbacks_of_its_trainer() -> None:
    log: list[str] = []
    trainer, evaluator = Engine(lambda engine, batch: batch), Engine(lambda engine, batch: batch)

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate() -> None:
        evaluator.run([1])
        log.append("evaluated")

    @evaluator.on(Events.COMPLETED)
    def ask() -> None:
        evaluator.call_when_safe(lambda _: log.append(f"evaluator in {evaluator.phase}, trainer in {trainer.phase}"))
        trainer.call_when_safe(lambda _: log.append(f"evaluator in {evaluator.phase}, trainer in {trainer.phase}"))

    trainer.run([1])
    assert log == [
        "evaluator in COMPLETED, trainer in EPOCH_COMPLETED",
        "evaluated",
        "evaluator in IDLE, trainer in EPOCH_COMPLETED",
    ]


def test_outside_a_run_callbacks_are_called_at_once() -> None:
    engine, called = Engine(lambda engine, batch: batch), []  # type: ignore[var-annotated]
    engine.call_when_safe(called.append)
    assert called == [engine]
    with pytest.raises(TypeError, match=r"^call_when_safe\(\) requires a callable that takes the engine, got 3\.$"):
        engine.call_when_safe(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("event", [Events.ITERATION_COMPLETED, Events.COMPLETED, Events.EPOCH_STARTED])
def test_an_error_in_a_callback_ends_the_run(event: Any) -> None:
    def fail(engine: Engine) -> None:
        raise OSError("the disk is full")

    engine, seen = Engine(lambda engine, batch: batch), []  # type: ignore[var-annotated]
    engine.add_event_handler(event, lambda engine: engine.call_when_safe(fail))
    engine.add_event_handler(Events.EXCEPTION_RAISED, lambda engine, error: seen.append(str(error)))
    engine.run([1])
    assert (seen, engine.outcome) == (["the disk is full"], "failed")


# Other values of the state dict


def test_plain_attributes_of_the_state_are_saved() -> None:
    engine = Engine(lambda engine, batch: torch.tensor(float(batch), requires_grad=True) * 2)
    engine.resumes_exactly = True
    saved: list[Any] = []

    @engine.on(Events.ITERATION_COMPLETED(once=1))
    def set_some(engine: Engine) -> None:
        engine.state.best, engine.state.open = {"accuracy": [0.5]}, object()
        engine.state.metrics.update(loss=1.5, plot=object(), f1=numpy.float64(0.25))
        engine.call_when_safe(lambda e: saved.append(e.state_dict()))

    with pytest.warns(
        UserWarning, match=r"^engine\.state\.open is not saved, because object is not plain data"
    ) as caught:
        engine.run([1, 2])
    assert len(caught) == 1
    other = Engine(lambda engine, batch: batch)
    other.load_state_dict(saved[0])
    state = other.state
    assert (state.best, state.metrics, state.output.item()) == ({"accuracy": [0.5]}, {"loss": 1.5, "f1": 0.25}, 2.0)
    assert (hasattr(state, "open"), state.output.requires_grad, state.dataloader) == (False, False, None)


def assert_logged(caplog: pytest.LogCaptureFixture, *fragments: str) -> None:
    """Assert that one record was logged, with these fragments in its message."""
    (message,) = (record.getMessage() for record in caplog.records)
    assert [fragment for fragment in fragments if fragment not in message] == []


def states_after(engine: Engine, event: Any) -> list[dict[str, Any]]:
    """Return the list to which the state dict of `engine` is appended after the handlers of `event`."""
    states: list[dict[str, Any]] = []
    engine.resumes_exactly = True
    engine.add_event_handler(event, lambda _engine, *_: engine.call_when_safe(lambda e: states.append(e.state_dict())))
    return states


def logging_engine(*events: Any) -> tuple[Engine, list[Any]]:
    """Return an engine and the list of its batches and of these events."""
    log: list[Any] = []
    engine = Engine(lambda engine, batch: log.append(batch))
    for event in events:
        engine.add_event_handler(event, lambda _engine, name, **_: log.append(name), event.name)
    return engine, log


class Unknown:
    """Three batches, without a length."""

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2, 3])


def test_a_pending_terminate_epoch_is_handled_where_it_was_requested() -> None:
    def made() -> tuple[Engine, list[Any]]:
        engine, log = logging_engine(Events.TERMINATE_SINGLE_EPOCH)
        engine.add_event_handler(Events.ITERATION_STARTED(once=2), lambda e: e.terminate_epoch())
        return engine, log

    engine, log = made()
    states = states_after(engine, Events.ITERATION_STARTED(once=2))
    engine.run([1, 2], max_epochs=2)
    other, resumed = made()
    other.load_state_dict(states[0])
    other.run([1, 2], max_epochs=2)
    assert resumed == log[1:] == ["TERMINATE_SINGLE_EPOCH", 1, 2]


def test_an_epoch_that_was_ended_at_the_end_of_the_data_resumes_with_new_data() -> None:
    def made() -> tuple[Engine, list[Any]]:
        engine, log = logging_engine(Events.DATALOADER_STOP_ITERATION)
        engine.add_event_handler(Events.DATALOADER_STOP_ITERATION(once=1), lambda e: e.terminate_epoch())
        return engine, log

    engine, log = made()
    states = states_after(engine, Events.EPOCH_COMPLETED(once=1))
    engine.run([1, 2], max_epochs=2, epoch_length=3)
    other, resumed = made()
    other.load_state_dict(states[0])
    other.run([1, 2], max_epochs=2, epoch_length=3)
    assert resumed == log[3:] == [1, 2, "DATALOADER_STOP_ITERATION", 1]


def test_an_epoch_of_unknown_length_resumes() -> None:
    engine, log = logging_engine(Events.EPOCH_COMPLETED)
    states = states_after(engine, Events.ITERATION_COMPLETED)
    engine.run(Unknown(), max_epochs=2)
    for state in states:
        other, resumed = logging_engine(Events.EPOCH_COMPLETED)
        other.load_state_dict(state)
        other.run(Unknown(), max_epochs=2)
        assert (resumed, other.state.epoch_length) == (log[len(log) - len(resumed) :], 3)
    assert len(states) == 6


def test_an_evaluator_that_was_terminated_keeps_its_metrics_and_starts_from_zero() -> None:
    engine, _ = logging_engine()
    engine.resumes_exactly = True
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), lambda e: e.terminate())
    engine.state.metrics["loss"] = 0.5
    engine.run(Unknown())
    states: list[Any] = []
    Engine(lambda trainer, batch: states.append(engine.state_dict())).run([1])
    other, log = logging_engine(Events.STARTED, Events.RESUMED)
    other.load_state_dict(states[0])
    assert other.state.metrics == {"loss": 0.5}
    other.run(Unknown())
    assert log == ["STARTED", 1, 2, 3]


def test_a_finished_run_of_a_user_lifecycle_is_not_repeated() -> None:
    def made() -> tuple[Engine, list[Any]]:
        log: list[Any] = []
        lifecycle = Lifecycle("play")
        lifecycle.add_phase(Mine.HALF, lambda: log.append("played"))
        lifecycle.add_path(Events.STARTED >> Mine.HALF >> Events.COMPLETED)
        return Engine(lifecycle=lifecycle), log

    engine, _ = made()
    states = states_after(engine, Events.COMPLETED)
    engine.run()
    other, log = made()
    other.load_state_dict(states[0])
    other.run()
    assert log == []
    other.run()
    assert log == ["played"]


# After an error


@pytest.mark.parametrize("back", [Events.GET_BATCH_COMPLETED, Events.GET_BATCH_STARTED, Scope.ITERATION], ids=str)
def test_a_lifecycle_with_error_edges_resumes_exactly(back: Any) -> None:
    """In these lifecycles the number of iterations does not give the number of batches."""

    def made() -> tuple[Engine, list[Any]]:
        log: list[Any] = []

        def step(engine: Engine, batch: int) -> None:
            log.append((engine.state.iteration, batch))
            if engine.state.iteration == 2 and "HALF" not in log:
                raise ValueError("the second one fails")

        engine = Engine(step)
        engine.lifecycle.add_transition(Events.ITERATION_STARTED >> Mine.HALF, error=ValueError, limit=1)
        engine.lifecycle.add_transition(Mine.HALF >> back)
        engine.add_event_handler(Mine.HALF, lambda _error: log.append("HALF"))
        return engine, log

    engine, log = made()
    done: list[int] = []
    events = Events.GET_BATCH_COMPLETED | Events.ITERATION_STARTED | Events.ITERATION_COMPLETED
    engine.add_event_handler(events, lambda e: e.call_when_safe(lambda _: done.append(len(log))))
    states = states_after(engine, events)
    engine.run([1, 2, 3], max_epochs=2)
    assert len(states) > 16
    for number, state in zip(done, states):
        other, resumed = made()
        resumed.extend(log[:number])
        other.load_state_dict(state)
        other.run([1, 2, 3], max_epochs=2)
        assert resumed == log


def test_a_run_can_be_suspended_again_after_a_suspension_and_a_recovery() -> None:
    log: list[int] = []
    engine = Engine(lambda engine, batch: log.append(batch) if engine.state.iteration > 1 else 1 / 0)
    engine.lifecycle.add_transition(Events.ITERATION_STARTED >> Mine.HALF, error=ZeroDivisionError)
    engine.lifecycle.add_transition(Mine.HALF >> Events.GET_BATCH_STARTED)
    engine.add_event_handler(Events.ITERATION_STARTED(once=2), lambda e: e.interrupt())
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=3), lambda e: e.interrupt())
    outcomes, data = [], [1, 2, 3, 4]
    for _ in range(3):
        engine.run(data, max_epochs=1)
        outcomes.append(engine.outcome)
    assert (outcomes, log) == (["interrupted", "interrupted", "completed"], [2, 3, 4])


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
@pytest.mark.parametrize(
    ("where", "left"),
    [
        ("step", [2, "EPOCH_COMPLETED", 1, 2, "EPOCH_COMPLETED"]),
        ("fetch", [2, "EPOCH_COMPLETED", 1, 2, "EPOCH_COMPLETED"]),
        (Events.ITERATION_STARTED(once=2), [2, "EPOCH_COMPLETED", 1, 2, "EPOCH_COMPLETED"]),
        (Events.EPOCH_COMPLETED(once=1), [1, 2, "EPOCH_COMPLETED"]),
        (Events.COMPLETED, []),
    ],
    ids=str,
)
def test_after_an_error_a_run_resumes_with_the_activity_that_failed(where: Any, left: list[Any], driver: str) -> None:
    class Data(list[int]):
        def __iter__(self) -> Iterator[int]:
            yield 1
            fail("fetch")
            yield 2

    def fail(here: str) -> None:
        if where == here:
            raise ValueError("it is broken")

    def step(engine: Engine, batch: int) -> None:
        if batch == 2:
            fail("step")

    engine = Engine(step)
    if not isinstance(where, str):
        engine.add_event_handler(where, lambda: fail(where))
    states = states_after(engine, Events.EXCEPTION_RAISED)
    engine.run(Data([1, 2]), max_epochs=2, driver=driver)
    assert engine.outcome == "failed"
    other, log = logging_engine(Events.EPOCH_COMPLETED)
    other.load_state_dict(states[0])
    other.run([1, 2], max_epochs=2)
    assert (log, len(states)) == (left, 1)


def test_after_an_unhandled_error_a_run_resumes() -> None:
    class Stop(BaseException):
        pass

    def step(engine: Engine, batch: int) -> None:
        if batch == 2:
            raise Stop

    engine = Engine(step)
    states = states_after(engine, Events.EXCEPTION_RAISED)
    with pytest.raises(Stop):
        engine.run([1, 2])
    other, log = logging_engine()
    other.load_state_dict(states[0])
    other.run([1, 2])
    assert (log, states[0]["iteration"]) == ([2], 2)


def test_after_an_error_a_batch_that_is_not_plain_data_is_skipped(caplog: pytest.LogCaptureFixture) -> None:
    def step(engine: Engine, batch: Any) -> None:
        raise ValueError("it is broken")

    engine = Engine(step)
    states = states_after(engine, Events.EXCEPTION_RAISED)
    engine.run([object(), object()])
    assert (states[0]["iteration"], states[0]["position"]) == (1, None)
    (warning,) = (record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
    assert re.search("No exact position .* batch in ITERATION_STARTED contains object.* ITERATION_COMPLETED", warning)


def finished(event: Any) -> dict[str, Any]:
    engine, saved = Engine(lambda engine, batch: batch), []  # type: ignore[var-annotated]
    engine.resumes_exactly = True
    engine.add_event_handler(event, lambda e: e.call_when_safe(lambda e: saved.append(e.state_dict())))
    engine.run([1, 2])
    return saved[0]


@pytest.mark.parametrize("event", [Events.EPOCH_COMPLETED, Events.COMPLETED])
def test_a_finished_run_is_not_repeated(event: Any) -> None:
    engine = Engine(lambda engine, batch: batch)
    engine.load_state_dict(finished(event))
    engine.run([1, 2], max_epochs=1)
    assert engine.state.iteration == 2
    engine.load_state_dict(finished(event))
    engine.run([1, 2], max_epochs=2)
    assert engine.state.iteration == 4


def test_without_resumes_exactly_the_state_dict_has_only_the_progress() -> None:
    engine = Engine(lambda engine, batch: batch)
    engine.run([1])
    assert list(engine.state_dict()) == ["epoch_length", "iteration", "max_epochs"]


# Warnings and errors


def test_a_state_dict_made_by_a_handler_has_no_exact_position(caplog: pytest.LogCaptureFixture) -> None:
    engine, saved = Engine(lambda engine, batch: batch), []  # type: ignore[var-annotated]
    engine.resumes_exactly = True
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda e: saved.append(e.state_dict()))
    engine.run([1])
    assert saved == [{"epoch_length": 1, "iteration": 1, "max_epochs": 1}]
    assert_logged(caplog, "EPOCH_COMPLETED", "no exact position", "engine.call_when_safe(...)")


def test_an_iterator_as_data_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(lambda engine, batch: batch)
    engine.resumes_exactly = True
    engine.run(iter([1, 2]), epoch_length=2)
    assert_logged(caplog, "list_iterator", "only once", "DataLoader with a sampler")


def test_a_pass_opened_without_rng_states_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    engine, saved = Engine(lambda engine, batch: batch), []  # type: ignore[var-annotated]

    @engine.on(Events.ITERATION_COMPLETED(once=1))
    def too_late(engine: Engine) -> None:
        engine.resumes_exactly = True
        engine.call_when_safe(lambda e: saved.append(e.state_dict()))

    engine.run([1, 2])
    other = Engine(lambda engine, batch: batch)
    other.resumes_exactly = True
    other.load_state_dict(saved[0])
    other.run([1, 2])
    assert_logged(caplog, "engine.resumes_exactly = True before run()")


@pytest.mark.parametrize("event", [Events.ITERATION_COMPLETED, Events.EPOCH_COMPLETED, Events.COMPLETED], ids=str)
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, None),
        ({"size": 7}, "length of the dataset was 8, and is 7"),
        ({"batch_size": 3, "size": 12}, "length of the dataset was 8, and is 12; batch_size was 2, and is 3"),
        ({"shuffle": False}, "sampler was RandomSampler, and is SequentialSampler"),
        ({"drop_last": True}, "drop_last was False, and is True"),
        ({"steps": 4}, "gradient_accumulation_steps was 2, and is 4"),
        ({"stateful": True}, "data was DataLoader, and is Stateful"),
    ],
    ids=str,
)
@pytest.mark.parametrize("by_pickle", [False, True], ids=["loaded", "unpickled"])
def test_other_data_is_named_when_a_run_resumes(
    by_pickle: bool, changes: dict[str, Any], named: str | None, event: Any, caplog: pytest.LogCaptureFixture
) -> None:
    if by_pickle and event is Events.COMPLETED:
        return  # a copy of a completed run starts from zero

    def made(size: int = 8, shuffle: bool = True, steps: int = 2, stateful: bool = False, **given: Any) -> Any:
        model = nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        trainer = create_supervised_trainer(model, optimizer, nn.MSELoss(), gradient_accumulation_steps=steps)
        trainer.resumes_exactly = True
        loader = Stateful if stateful else DataLoader
        return trainer, loader(TensorDataset(torch.ones(size, 1), torch.ones(size, 1)), shuffle=shuffle, **given)

    trainer, data = made(batch_size=2)
    if by_pickle:
        trainer.run(data, max_epochs=2, until=event(once=1))
        pickled = pickle.dumps(trainer)
    else:
        states = states_after(trainer, event if event is Events.COMPLETED else event(once=1))
        trainer.run(data, max_epochs=2)
    other, data = made(**{"batch_size": 2, **changes})
    if by_pickle:
        step = other._process_function
        other = pickle.loads(pickled)
        other._process_function.gradient_accumulation_steps = step.gradient_accumulation_steps
    else:
        other.load_state_dict(states[0])
    caplog.clear()
    other.run(data, max_epochs=3)
    logged = [record.getMessage() for record in caplog.records if "other data" in record.getMessage()]
    assert len(logged) == (named is not None)
    assert named is None or f"exactly: {named}. Pass the same data to run()" in logged[0]


class Stateful(DataLoader[Any]):
    """A DataLoader that saves its position."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        raise AssertionError("there is no state to load")


def test_data_given_to_set_data_resumes_if_it_is_given_to_run() -> None:
    engine, log = logging_engine()
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), lambda e: e.set_data([7, 8, 9]))
    states = states_after(engine, Events.ITERATION_COMPLETED(once=2))
    engine.run([1, 2, 3], max_epochs=2)
    other, resumed = logging_engine()
    other.load_state_dict(states[0])
    other.run([7, 8, 9], max_epochs=2)
    assert (log, resumed) == ([1, 7, 8, 9, 7, 8], [8, 9, 7, 8])


def test_a_pass_with_workers_that_resumes_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Loader(list[int]):
        num_workers = 2

    engine, _ = logging_engine()
    states = states_after(engine, Events.ITERATION_COMPLETED)
    engine.run(Loader([1, 2]), max_epochs=2)
    for state in states:
        other, _ = logging_engine()
        other.resumes_exactly = True
        other.load_state_dict(state)
        other.run(Loader([1, 2]), max_epochs=2)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2  # after the last batch of a pass nothing more is loaded
    assert all("processes" in message and "random" in message for message in messages)


def test_a_batch_that_is_not_plain_data_cannot_be_saved() -> None:
    engine = Engine(lambda engine, batch: batch)
    engine.resumes_exactly = True
    engine.add_event_handler(Events.GET_BATCH_COMPLETED, lambda e: e.call_when_safe(lambda e: e.state_dict()))
    message = r"batch in GET_BATCH_COMPLETED contains object at \['images'\]\[0\].* ITERATION_COMPLETED"
    with pytest.raises(ValueError, match=message):
        engine.run([{"images": [object()]}])


def test_a_position_is_not_loaded_into_an_active_run() -> None:
    engine = Engine(lambda engine, batch: batch)
    engine.add_event_handler(Events.STARTED, lambda e: e.load_state_dict(finished(Events.EPOCH_COMPLETED)))
    with pytest.raises(BusyError, match=r"in STARTED with an exact position.* before run\(\)\."):
        engine.run([1])


class Counting:
    """A handler with a state that it changes in place; it refuses a state without ``calls``."""

    def __init__(self) -> None:
        self.state = {"calls": [0]}

    def __call__(self, engine: Engine) -> None:
        self.state["calls"][0] += 1

    def state_dict(self) -> dict[str, Any]:
        return self.state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state["calls"][0] = -1
        self.state["calls"][0] = state["calls"][0]


class Second(Counting):
    """A handler of another class, which is loaded later."""


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state["handlers"].update(Second={}),
        lambda state: state["position"].pop("skip"),
        lambda state: state.update(ended="nearly"),
        lambda state: state.update(fired=3),
        lambda state: state.update(max_epochs=-1),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change: Callable[[Any], Any]) -> None:
    def made() -> tuple[Engine, list[Counting], list[int]]:
        engine, log = logging_engine()
        engine.resumes_exactly = True
        handlers = [Counting(), Second()]
        for handler in handlers:
            engine.add_event_handler(Events.ITERATION_COMPLETED, handler)
        return engine, handlers, log

    engine, _, _ = made()
    states = states_after(engine, Events.ITERATION_COMPLETED(once=2))
    engine.run([1, 2, 3], max_epochs=2)
    change(states[0])
    other, handlers, log = made()
    other.add_event_handler(Events.ITERATION_COMPLETED(once=5), lambda e: e.interrupt())
    other.run([1, 2, 3], max_epochs=3)
    before = copy.deepcopy(dict(other.state_dict()))
    with pytest.raises(Exception):  # noqa: B017, PT011
        other.load_state_dict(states[0])
    after = dict(other.state_dict())
    assert dumped(after) == dumped(before)
    other.run()
    assert (log, [handler.state["calls"] for handler in handlers]) == ([1, 2, 3] * 3, [[9], [9]])


def test_the_handler_whose_state_does_not_fit_is_named() -> None:
    engine, _ = logging_engine()
    engine.resumes_exactly = True
    engine.add_event_handler(Events.ITERATION_COMPLETED, Second())
    state = {**engine.state_dict(), "handlers": {"Second": {}}}
    with pytest.raises(ValueError, match=r"handler Second does not fit it: 'calls'"):
        engine.load_state_dict(state)


def test_a_position_unknown_to_the_lifecycle_is_an_error_and_changes_nothing() -> None:
    state = finished(Events.EPOCH_COMPLETED)
    state["position"]["suspended_at"] = ["Play.LEARN", 1]
    engine = Engine(lambda engine, batch: batch)
    with pytest.raises(ValueError, match=r"loaded state is in 'Play\.LEARN'.* IDLE, "):
        engine.load_state_dict(state)
    assert (engine.state.iteration, engine.phase.name) == (0, "IDLE")


@pytest.fixture(autouse=True)
def _log_warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
