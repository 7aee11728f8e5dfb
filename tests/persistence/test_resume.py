"""A run that is suspended in any phase and resumed in any way equals the run that was not stopped, bit by bit.

Guarantees for each way to resume:

- The same engine, a deep copy, or a pickle, in this process or another: the events, batches, losses and weights of the
  run that was not stopped. With a `DeterministicEngine` (``deterministic=True``) this includes the order of a
  ``DataLoader(shuffle=True)`` and the random numbers of the main process, such as dropout. With a plain engine the
  sampler must give the same order again, as `DistributedSampler` does within an epoch.
- A new engine that loads a state dict, and loads the weights, too: the same batches, losses and weights from the next
  iteration on, also after an epoch was cut short. It fires STARTED and reaches that iteration by itself, so the events
  before its step fire again. A state dict counts iterations, not batches: nothing is guaranteed for lifecycles that
  skip or repeat batches. With `Engine.resumes_exactly` the guarantees are those of a pickle; see
  `test_exact_resume.py`.
"""

from __future__ import annotations

import copy
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

from fsm_engine import BusyError, Engine, EventEnum, Events, Outcome, Scope, StepEvents
from fsm_engine.graph.signals import Signal
from fsm_engine.supervised import create_supervised_trainer

SEED = 7
BATCHES, EPOCHS = 4, 3
ITEMS = 3 * BATCHES


class P(EventEnum):
    WARM_UP = "warm_up"
    OPENED = "opened"
    FETCHED = "fetched"
    CHECK = "check"
    LOOK = "look"
    BETWEEN = "between"


class R(EventEnum):
    SKIP = "skip"
    RETRY = "retry"
    LEAVE = "leave"


# Handlers, guards and activities are functions of this module, so that engines can be pickled.


def ids(engine: Engine) -> list[int] | None:
    """Return the items of the current batch."""
    batch = engine.state.batch
    return None if batch is None else [int(row[0]) for row in batch[0]]


def note(engine: Engine, name: str) -> None:
    state = engine.state
    drawn = torch.rand(()).item() if state.draws and name not in ("INTERRUPT", "RESUMED") else None
    state.log = [*state.log, (name, state.epoch, state.iteration, ids(engine), state.output, drawn)]


def act(engine: Engine) -> None:
    engine.state.acts += 1


def refuse_some(engine: Engine) -> None:
    act(engine)
    if 1 in (ids(engine) or []):
        raise ValueError("a batch that is of no use")


def is_dull(engine: Engine) -> bool:
    return 5 in (ids(engine) or [])


def fail(engine: Engine) -> None:
    raise LookupError("once more")


def fail_for_good(engine: Engine) -> None:
    if 9 in (ids(engine) or []):
        raise ArithmeticError("away with this epoch")


def next_order(engine: Engine) -> None:
    engine.state.dataloader.sampler.set_epoch(engine.state.epoch)


def scaled(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return nn.functional.mse_loss(x, y)


def trainer(deterministic: bool = True) -> Engine:
    torch.manual_seed(SEED)
    model = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5 if deterministic else 0.0), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    engine = create_supervised_trainer(model, optimizer, scaled, deterministic=deterministic)
    engine.state.log, engine.state.acts, engine.state.draws = [], 0, False
    return engine


def training() -> Engine:
    return trainer()


def drawing() -> Engine:
    """An engine whose handlers draw a random number in every phase."""
    engine = trainer()
    engine.state.draws = True
    return engine


def distributed() -> Engine:
    engine = trainer(deterministic=False)
    engine.add_event_handler(Events.EPOCH_STARTED | Events.RESUMED, next_order)
    return engine


def cut_short() -> Engine:
    engine = trainer()
    engine.state.draws = True
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=BATCHES + 2), Engine.terminate_epoch)
    return engine


def inserted() -> Engine:
    engine = trainer()
    after = {
        Events.STARTED: P.WARM_UP,
        Events.EPOCH_STARTED: P.OPENED,
        Events.GET_BATCH_COMPLETED: P.CHECK,
        Events.ITERATION_COMPLETED: P.LOOK,
        Events.EPOCH_COMPLETED: P.BETWEEN,
    }
    for phase, new in after.items():
        engine.lifecycle.insert(new, after=phase, activity=act)
    return engine


def inserted_behind_the_fetch() -> Engine:
    engine = inserted()
    engine.state.draws = True
    engine.lifecycle.insert(P.FETCHED, after=Events.GET_BATCH_STARTED, activity=act)
    return engine


def skipping() -> Engine:
    """An engine that skips a batch by an error edge and by a guard, and repeats another batch."""
    engine = trainer()
    lifecycle = engine.lifecycle
    lifecycle.insert(P.CHECK, after=Events.GET_BATCH_COMPLETED, activity=refuse_some)
    lifecycle.add_transition(P.CHECK >> R.SKIP, error=ValueError)
    lifecycle.add_exits(R.SKIP, like=Events.ITERATION_COMPLETED)
    lifecycle.add_transition(P.CHECK >> Events.GET_BATCH_STARTED, guard=is_dull)
    lifecycle.add_transition(Events.ITERATION_STARTED >> R.RETRY, error=LookupError)
    lifecycle.add_transition(R.RETRY >> Events.ITERATION_STARTED)
    engine.add_event_handler(Events.ITERATION_STARTED(once=4), fail)
    return engine


def skipping_at_once() -> Engine:
    """An engine in which a handler of GET_BATCH_COMPLETED fails and an error edge skips the batch."""
    engine = trainer()
    engine.lifecycle.add_transition(Events.GET_BATCH_COMPLETED >> R.SKIP, error=ValueError)
    engine.lifecycle.add_exits(R.SKIP, like=Events.ITERATION_COMPLETED)
    engine.add_event_handler(Events.GET_BATCH_COMPLETED, refuse_some)
    return engine


def leaving() -> Engine:
    """An engine in which an error edge of Scope.EPOCH ends the epoch, while the data stays open."""
    engine = trainer()
    engine.lifecycle.add_transition(Scope.EPOCH >> R.LEAVE, error=ArithmeticError)
    engine.lifecycle.add_transition(R.LEAVE >> Events.EPOCH_COMPLETED)
    engine.add_event_handler(Events.GET_BATCH_COMPLETED, fail_for_good)
    return engine


PROGRAMS: dict[str, Callable[[], Engine]] = {
    program.__name__: program
    for program in (
        training,
        drawing,
        distributed,
        cut_short,
        inserted,
        inserted_behind_the_fetch,
        skipping,
        skipping_at_once,
        leaving,
    )
}
BY_STATE_DICT = ("training", "distributed", "inserted")
ELSEWHERE = ("drawing", "distributed", "skipping")


def stops_of(engine: Engine) -> list[Any]:
    """Return every phase at which a run can stop and be copied: none inside a step."""
    graph = engine.lifecycle.graph
    able = [n for n, edges in enumerate(graph.signal_exits) if Signal.INTERRUPT in edges]
    return [phase for phase in (graph.phases[number].event for number in able) if not isinstance(phase, StepEvents)]


def make(program: str) -> tuple[Engine, Any]:
    """Return an engine that logs INTERRUPT, COMPLETED and every phase at which it can stop; and its data."""
    engine = PROGRAMS[program]()
    for event in [*stops_of(engine), Events.INTERRUPT, Events.COMPLETED]:
        engine.add_event_handler(event(priority=1), note, event.name)
    return engine, make_data(program)


def make_data(program: str) -> Any:
    x = torch.stack([torch.arange(ITEMS) * 1.0, torch.arange(ITEMS) % 3 - 1.0], 1)
    items = TensorDataset(x, x.sum(1, keepdim=True) / ITEMS)
    if program == "distributed":
        return DataLoader(items, 3, sampler=DistributedSampler(items, num_replicas=1, rank=0, seed=SEED))
    return DataLoader(items, 3, shuffle=True)


def scramble() -> None:
    """Set the RNG to a random state, so that a test that depends on it fails."""
    torch.manual_seed(random.randrange(10**6))


def result(engine: Engine) -> tuple[list[Any], list[torch.Tensor]]:
    """Return the log and all tensors that the training has changed."""
    step: Any = engine.lifecycle.step
    momentum = [state["momentum_buffer"] for state in step.optimizer.state.values()]
    return engine.state.log, [parameter.detach() for parameter in step.model.parameters()] + momentum


def assert_same_weights(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> None:
    assert len(ours) == len(theirs) == 8
    for one, other in zip(ours, theirs):
        assert torch.equal(one, other)


_references: dict[str, tuple[list[Any], list[torch.Tensor]]] = {}


def reference(program: str) -> tuple[list[Any], list[torch.Tensor]]:
    """Return the result of the run that was not stopped."""
    if program not in _references:
        engine, data = make(program)
        torch.manual_seed(SEED)
        engine.run(data, max_epochs=EPOCHS)
        _references[program] = result(engine)
    return _references[program]


def places(program: str, name: str) -> list[int]:
    """Return the indices in the log of the whole run of the middle and the last occurrence of a phase."""
    names = [entry[0] for entry in reference(program)[0]]
    found = [place for place, one in enumerate(names) if one == name]
    # A breakpoint has no effect where a handler fails or ends the epoch; it has where an activity fails.
    sooner = {*R.__members__, "TERMINATE_SINGLE_EPOCH"}
    found = [place for place in found if name == "CHECK" or names[place + 1] not in sooner]
    return sorted({found[len(found) // 2], found[-1]})


def stopped(program: str, event: Any, place: int) -> Engine:
    """Return an engine whose run was suspended at this index of its log."""
    engine, data = make(program)
    torch.manual_seed(SEED)
    at_place = event(event_filter=lambda engine, _count: len(engine.state.log) == place + 1)
    engine.run(data, max_epochs=EPOCHS, until=at_place)
    assert engine.outcome is Outcome.INTERRUPTED
    assert [entry[0] for entry in engine.state.log[place:]] == [event.name, "INTERRUPT"]
    return engine


def same_engine(engine: Engine, program: str) -> Engine:
    engine.run()
    return engine


def deep_copy(engine: Engine, program: str) -> Engine:
    return same_engine(copy.deepcopy(engine), program)


def unpickled(engine: Engine, program: str) -> Engine:
    return from_pickle(pickle.dumps(engine), program)


def copied_and_pickled_repeatedly(engine: Engine, program: str) -> Engine:
    engine = copy.deepcopy(pickle.loads(pickle.dumps(copy.deepcopy(engine))))
    return from_pickle(pickle.dumps(engine), program)


def from_pickle(text: bytes, program: str) -> Engine:
    engine: Engine = pickle.loads(text)
    engine.run(make_data(program))
    return engine


def assert_resumed(ours: tuple[list[Any], list[torch.Tensor]], program: str, place: int) -> None:
    """Assert that the log equals the log of the run that was not stopped, with one INTERRUPT and one RESUMED more."""
    log, weights = reference(program)
    assert [entry[0] for entry in ours[0][place + 1 : place + 3]] == ["INTERRUPT", "RESUMED"]
    assert ours[0][: place + 1] + ours[0][place + 3 :] == log
    assert_same_weights(ours[1], weights)


def enters(program: str, event: Any) -> bool:
    """Return True if the run that was not stopped enters the phase."""
    return event is not Events.RESUMED and (event is not Events.TERMINATE_SINGLE_EPOCH or program == "cut_short")


ENTERED = [
    (program, event) for program, make_it in PROGRAMS.items() for event in stops_of(make_it()) if enters(program, event)
]
WHOLE = [case for case in ENTERED if case[0] != "training"]  # `drawing` is the same, and more
NAMES = [f"{program}-{event.name}" for program, event in WHOLE]
INSIDE = [event for event in StepEvents if event is not StepEvents.UNSCALED]
AGAIN = [case for case in ENTERED if case[0] in ("drawing", "skipping")]
LOADED = [case for case in ENTERED if case[0] in BY_STATE_DICT]


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_cases_cover_every_phase_at_which_a_run_can_stop(program: str) -> None:
    names = {event.name for one, event in ENTERED if one == program}
    assert names == {entry[0] for entry in reference(program)[0]} - {"COMPLETED"}
    assert len(names) >= 8


def test_the_programs_skip_repeat_and_shuffle_batches() -> None:
    orders = [[entry[3] for entry in reference(p)[0] if entry[0] == "GET_BATCH_COMPLETED"] for p in PROGRAMS]
    for order in orders:
        first, second = order[:BATCHES], order[BATCHES : 2 * BATCHES]
        assert sorted(item for batch in first for item in batch) == list(range(ITEMS))
        assert first != second
    names = [entry[0] for entry in reference("skipping")[0]]
    assert names.count("ITERATION_STARTED") > EPOCHS * BATCHES
    assert names.count("GET_BATCH_COMPLETED") > EPOCHS * BATCHES
    assert names.count("RETRY") == 1
    skipped = [one for one, other in pairwise(names) if (one, other) == ("CHECK", "GET_BATCH_STARTED")]
    assert skipped


@pytest.mark.parametrize("way", [same_engine, deep_copy, unpickled])
@pytest.mark.parametrize(("program", "event"), WHOLE, ids=NAMES)
def test_a_run_resumed_from_any_phase_equals_the_run_that_was_not_stopped(
    program: str, event: Any, way: Callable[[Engine, str], Engine]
) -> None:
    place = places(program, event.name)[0]
    engine = stopped(program, event, place)
    scramble()
    assert_resumed(result(way(engine, program)), program, place)


def stopped_inside(event: Any) -> Engine:
    engine, data = make("drawing")
    torch.manual_seed(SEED)
    engine.run(data, max_epochs=EPOCHS, until=event(once=BATCHES + 2))
    assert engine.outcome is Outcome.INTERRUPTED
    return engine


@pytest.mark.parametrize("event", INSIDE)
def test_a_run_resumed_inside_the_step_equals_the_run_that_was_not_stopped(event: Any) -> None:
    engine = stopped_inside(event)
    scramble()
    engine.run()
    place = [entry[0] for entry in engine.state.log].index("INTERRUPT") - 1
    assert_resumed(result(engine), "drawing", place)


@pytest.mark.parametrize("take", [copy.deepcopy, pickle.dumps, Engine.state_dict])
def test_a_run_stopped_inside_the_step_is_copied_and_saved_in_the_phase_that_the_error_names(take: Any) -> None:
    engine = stopped_inside(StepEvents.BACKWARD_STARTED)
    with pytest.raises(BusyError, match=r"in BACKWARD_STARTED.*run\(until=Events.ITERATION_COMPLETED\)"):
        take(engine)
    engine.run(until=Events.ITERATION_COMPLETED)
    take(engine)


@pytest.mark.parametrize("way", [same_engine, copied_and_pickled_repeatedly])
@pytest.mark.parametrize(("program", "event"), AGAIN, ids=[f"{program}-{event.name}" for program, event in AGAIN])
def test_a_run_that_is_suspended_again_at_resumed_loses_nothing(
    program: str, event: Any, way: Callable[[Engine, str], Engine]
) -> None:
    place = places(program, event.name)[-1]
    engine = stopped(program, event, place)
    scramble()
    engine.run(until=Events.RESUMED)
    assert [entry[0] for entry in engine.state.log[place + 1 :]] == ["INTERRUPT", "RESUMED", "INTERRUPT"]
    scramble()
    log, weights = result(way(engine, program))
    assert [entry[0] for entry in log[place + 1 : place + 5]] == ["INTERRUPT", "RESUMED"] * 2
    assert log[: place + 1] + log[place + 5 :] == reference(program)[0]
    assert_same_weights(weights, reference(program)[1])


def test_pickles_resume_in_another_process(tmp_path: Path) -> None:
    chosen = [(program, event) for program, event in ENTERED if program in ELSEWHERE]
    cases = [(program, event, places(program, event.name)[-1]) for program, event in chosen]
    pickles = [(pickle.dumps(stopped(program, event, place)), program) for program, event, place in cases]
    given, made = tmp_path / "stopped.pickle", tmp_path / "results.pickle"
    given.write_bytes(pickle.dumps(pickles))
    code = f"import sys; sys.path[:0] = {sys.path!r}; import {__name__} as here; here.in_another_process(*sys.argv[1:])"
    subprocess.run([sys.executable, "-c", code, given, made], check=True, cwd=tmp_path)
    results = pickle.loads(made.read_bytes())
    assert len(results) == len(cases) >= 24
    for ours, (program, _, place) in zip(results, cases):
        assert_resumed(ours, program, place)


def in_another_process(given: str, made: str) -> None:
    """Resume every pickle; this runs in the other process."""
    torch.set_num_threads(1)
    pickles = pickle.loads(Path(given).read_bytes())
    Path(made).write_bytes(pickle.dumps([result(from_pickle(*one)) for one in pickles]))


@pytest.mark.parametrize(("program", "event"), LOADED, ids=[f"{program}-{event.name}" for program, event in LOADED])
def test_a_new_engine_resumes_from_a_state_dict(program: str, event: Any) -> None:
    log, weights = reference(program)
    engine = stopped(program, event, places(program, event.name)[0])
    saved, old = engine.state_dict(), engine.lifecycle.step
    done = saved["iteration"]
    scramble()
    fresh, data = make(program)
    fresh.lifecycle.step.model.load_state_dict(old.model.state_dict())
    fresh.lifecycle.step.optimizer.load_state_dict(old.optimizer.state_dict())
    fresh.load_state_dict(pickle.loads(pickle.dumps(saved)))
    torch.manual_seed(SEED)
    fresh.run(data)
    ours, ours_weights = result(fresh)
    names = [entry[0] for entry in log]
    again = names[: names.index("ITERATION_STARTED")]
    if done:
        again.insert(1, "RESUMED")  # after STARTED
    assert [entry[0] for entry in ours[: len(again)]] == again
    to_come = [entry[:3] for entry in log].index(("ITERATION_STARTED", done // BATCHES + 1, done + 1))
    assert ours[len(again) :] == log[to_come:]
    assert_same_weights(ours_weights, weights)


class Numbered:
    """Numbered batches, without a length."""

    def __init__(self, first: int) -> None:
        self.first = first

    def __iter__(self) -> Any:
        return iter(range(self.first, self.first + 100))


def take(engine: Engine, batch: int) -> int:
    engine.state.taken = [*engine.state.taken, batch]
    return batch


def renew(engine: Engine) -> None:
    engine.set_data(Numbered(200))


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("where", [Events.INTERRUPT, Events.RESUMED])
@pytest.mark.parametrize("stop", [Events.GET_BATCH_COMPLETED, P.CHECK, Events.ITERATION_COMPLETED])
def test_data_replaced_while_a_batch_is_current_starts_at_its_beginning(stop: Any, where: Events, copied: bool) -> None:
    engine = Engine(take)
    engine.state.taken = []
    engine.lifecycle.insert(P.CHECK, after=Events.GET_BATCH_COMPLETED, activity=None)
    engine.add_event_handler(where(once=1), renew)
    engine.run(
        Numbered(100), max_iters=6, epoch_length=6, until=stop(event_filter=lambda e, _: len(e.state.taken) == 2)
    )
    engine.run(until=Events.ITERATION_COMPLETED(once=4))
    if copied:
        engine = copy.deepcopy(engine)
    engine.run()
    first = [100, 101] if stop is Events.ITERATION_COMPLETED else [100, 101, 102]
    assert engine.state.taken == [*first, *range(200, 206 - len(first))]


def refuse_all(engine: Engine) -> None:
    raise ValueError("of no use")


def test_data_whose_batches_are_all_skipped_is_not_empty() -> None:
    engine = Engine(take)
    engine.state.taken = []
    engine.lifecycle.add_transition(Events.GET_BATCH_COMPLETED >> R.SKIP, error=ValueError)
    engine.lifecycle.add_transition(R.SKIP >> Events.GET_BATCH_STARTED)
    handle = engine.add_event_handler(Events.GET_BATCH_COMPLETED, refuse_all)
    engine.add_event_handler(Events.DATALOADER_STOP_ITERATION, handle.remove)
    engine.run([1, 2, 3])
    assert engine.state.taken == [1, 2, 3]


@pytest.mark.parametrize("copied", [False, True])
def test_a_copy_opens_the_data_only_if_it_was_open(copied: bool) -> None:
    engine = Engine(take)
    engine.lifecycle.add_transition(Events.STARTED >> R.SKIP, error=ValueError)
    engine.lifecycle.add_transition(R.SKIP >> Events.GET_BATCH_STARTED)
    engine.add_event_handler(Events.STARTED, refuse_all)
    engine.add_event_handler(Events.GET_BATCH_STARTED, lambda e: e.interrupt())
    engine.run([1, 2, 3])
    if copied:
        engine = copy.deepcopy(engine)
    with pytest.raises(ValueError, match="data is not open"):
        engine.run()
