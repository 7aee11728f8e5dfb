"""A repeated or resumed run has the same batches and the same random numbers in its step."""

from __future__ import annotations

import gc
import io
import pickle
import random
import weakref
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import ignite.engine
import ignite.engine.deterministic
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    WeightedRandomSampler,
)
from torch.utils.data.distributed import DistributedSampler

import fsm_engine
from fsm_engine import Events, Lifecycle
from fsm_engine.supervised import create_supervised_trainer
from fsm_engine.supervised.deterministic import (
    DeterministicEngine,
    ReproducibleBatchSampler,
    keep_random_state,
    update_dataloader,
)

LENGTH = 7  # batches in a pass of each loader, the last one short


class Noisy(TensorDataset):
    """Draws a random number for each item."""

    def __getitem__(self, index: int) -> Any:
        return super().__getitem__(index)[0], torch.rand(())


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(20).tolist())


class Lazy:
    """A batch sampler that is not a `BatchSampler`, and draws a batch when it is requested."""

    def __len__(self) -> int:
        return LENGTH

    def __iter__(self) -> Iterator[list[int]]:
        return (torch.randint(20, (2,)).tolist() for _ in range(LENGTH))


class LazyBatches(BatchSampler):
    """A `BatchSampler` that draws a batch when it is requested."""

    def __init__(self) -> None:
        super().__init__(SequentialSampler(range(20)), 3, False)

    def __iter__(self) -> Iterator[list[int]]:
        return (torch.randint(20, (2,)).tolist() for _ in range(LENGTH))


class Endless:
    """An infinite sampler."""

    def __iter__(self) -> Iterator[int]:
        order = torch.randperm(20).tolist()
        return (order[number % 20] for number in count())


class Shuffled:
    """An iterable that is not a DataLoader."""

    def __len__(self) -> int:
        return LENGTH

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(LENGTH).tolist())


def numbers() -> TensorDataset:
    return TensorDataset(torch.arange(20))


def weighted() -> WeightedRandomSampler:
    return WeightedRandomSampler(torch.arange(1.0, 21).tolist(), 20)


def endless() -> Iterator[float]:
    while True:
        yield random.random() + np.random.rand() + torch.rand(()).item()


KINDS: dict[str, Callable[[], Any]] = {
    "a list": lambda: list(range(LENGTH)),
    "an iterable": Shuffled,
    "a generator": endless,
    "in order": lambda: DataLoader(numbers(), 3),
    "shuffled": lambda: DataLoader(numbers(), 3, shuffle=True),
    "with replacement": lambda: DataLoader(numbers(), 3, sampler=RandomSampler(range(20), replacement=True)),
    "weighted": lambda: DataLoader(numbers(), 3, sampler=weighted()),
    "distributed": lambda: DataLoader(numbers(), 3, sampler=DistributedSampler(numbers(), 1, 0)),
    "no batches": lambda: DataLoader(TensorDataset(torch.arange(LENGTH)), None, shuffle=True),
    "any batch sampler": lambda: DataLoader(numbers(), batch_sampler=Lazy()),
    "batches drawn one by one": lambda: DataLoader(numbers(), batch_sampler=LazyBatches()),
    "without an end": lambda: DataLoader(numbers(), 3, sampler=Endless()),
    "a stream": lambda: DataLoader(Stream(), 3),
    "random items": lambda: DataLoader(Noisy(torch.arange(20)), 3, shuffle=True),
}
REFUSED_BY_IGNITE = ("any batch sampler", "without an end", "a stream")
WITH_WORKERS: dict[str, Callable[[], Any]] = {
    "shuffled": lambda: DataLoader(numbers(), 3, shuffle=True, num_workers=2),
    "weighted": lambda: DataLoader(numbers(), 3, sampler=weighted(), num_workers=2),
    "persistent": lambda: DataLoader(numbers(), 3, shuffle=True, num_workers=2, persistent_workers=True),
}


def as_plain(batch: Any) -> Any:
    if isinstance(batch, torch.Tensor):
        return batch.tolist()
    return [as_plain(part) for part in batch] if isinstance(batch, (tuple, list)) else batch


class Log(list[Any]):
    """A step that records its batch and a random number of each global RNG."""

    def __call__(self, engine: Any, batch: Any) -> None:
        self.append((as_plain(batch), random.random(), np.random.rand(), torch.rand(()).item()))


def run(data: Any, log: Any = None, library: Any = fsm_engine, seed: int = 12, **limits: Any) -> Any:
    engine = library.DeterministicEngine(Log() if log is None else log)
    torch.manual_seed(seed)
    engine.run(data, **limits)
    return engine._process_function


def disturb() -> None:
    """Change the states of the global RNGs."""
    random.seed(99)
    np.random.seed(99)
    torch.manual_seed(99)


# Repeated runs


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in REFUSED_BY_IGNITE])
def test_batches_and_random_numbers_equal_ignite(kind):
    limits = {"max_epochs": 3, "epoch_length": LENGTH}

    assert run(KINDS[kind](), **limits) == run(KINDS[kind](), library=ignite.engine, **limits)


def test_epochs_that_are_cut_short_have_different_batches_and_can_be_repeated():
    def epochs():
        log = Log()
        engine = DeterministicEngine(log)
        engine.add_event_handler(Events.ITERATION_COMPLETED(every=2), lambda: engine.terminate_epoch())
        torch.manual_seed(12)
        engine.run(KINDS["shuffled"](), max_epochs=4)
        return [log[start : start + 2] for start in range(0, 8, 2)]

    first, again = epochs(), epochs()

    assert len({str(epoch) for epoch in first}) == 4
    assert again == first


def test_each_pass_equals_a_pass_of_a_loader_seeded_by_hand():
    data, by_hand = KINDS["shuffled"](), []
    log = run(data, max_epochs=3)
    torch.manual_seed(12)
    seed = int(torch.randint(0, 10**9, (1,)))
    for number in range(3):
        torch.manual_seed(seed + number)
        by_hand += [as_plain(batch) for batch in data]

    assert [batch for batch, *_ in log] == by_hand


def test_random_numbers_drawn_by_handlers_do_not_change_the_batches():
    def batches(event, seed=12):
        log = Log()
        engine = DeterministicEngine(log)
        if event is not None:
            engine.add_event_handler(event, lambda: torch.rand(3))
        torch.manual_seed(seed)
        engine.run(KINDS["batches drawn one by one"](), max_epochs=2)
        return [batch for batch, *_ in log]

    expected = batches(None)
    events = [Events.STARTED, Events.EPOCH_STARTED, Events.GET_BATCH_STARTED, Events.ITERATION_COMPLETED]
    assert [batches(event) for event in events] == [expected] * 4
    assert batches(None, seed=13) != expected


def test_persistent_workers_are_kept_between_passes():
    data = WITH_WORKERS["persistent"]()
    engine = DeterministicEngine(lambda engine, batch: None)
    workers = set()

    def note_workers(engine):  # without a reference cycle, in which torch needs 10 s to end persistent workers
        workers.update(id(worker) for worker in engine.state.dataloader._iterator._workers)

    engine.add_event_handler(Events.ITERATION_COMPLETED, note_workers)

    engine.run(data, max_epochs=2)
    engine.run(data, max_epochs=3)

    assert len(workers) == 2
    assert data._iterator is None


# Runs resumed from a state dict


def saved_and_resumed(make: Callable[[], Any], event: Any, epochs: int = 3, **limits: Any) -> tuple[Any, Any, int]:
    """Return the log of a whole run, the log of a run resumed from a state dict saved at `event`, and the place."""
    whole, saved = Log(), []
    engine = DeterministicEngine(whole)
    # Without a reference cycle, in which torch needs 10 s to end persistent workers.
    engine.add_event_handler(event, lambda engine: saved.append((engine.state_dict(), len(whole))))
    torch.manual_seed(12)
    engine.run(make(), max_epochs=epochs, **limits)

    disturb()
    (state, place), *_ = saved
    resumed = Log()
    engine = DeterministicEngine(resumed)
    engine.load_state_dict(state)
    torch.manual_seed(12)
    engine.run(make())
    return whole, resumed, place


@pytest.mark.parametrize("iteration", [1, 3, LENGTH + 2, 2 * LENGTH + 6])
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_resumed_in_the_middle_of_a_pass_equals_an_uninterrupted_run(kind, iteration):
    epochs, length = (1, 3 * LENGTH) if kind == "without an end" else (3, LENGTH)
    whole, resumed, place = saved_and_resumed(
        KINDS[kind], Events.ITERATION_COMPLETED(once=iteration), epochs=epochs, epoch_length=length
    )

    assert len(whole) == 3 * LENGTH
    assert resumed == whole[place:]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("a generator", "without an end", "a stream")])
def test_a_run_resumed_between_two_passes_equals_an_uninterrupted_run(kind):
    whole, resumed, place = saved_and_resumed(KINDS[kind], Events.EPOCH_COMPLETED(once=2))

    assert place == 2 * LENGTH
    assert resumed == whole[place:]


@pytest.mark.parametrize("iteration", [2, LENGTH, LENGTH + 4])
@pytest.mark.parametrize("kind", WITH_WORKERS)
def test_a_resumed_run_with_workers_equals_an_uninterrupted_run(kind, iteration):
    whole, resumed, place = saved_and_resumed(WITH_WORKERS[kind], Events.ITERATION_COMPLETED(once=iteration), epochs=2)

    assert resumed == whole[place:]


@pytest.mark.parametrize("length", [3, LENGTH + 4])
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_run_whose_epochs_are_not_passes_can_be_resumed(length, epoch):
    whole, resumed, place = saved_and_resumed(
        KINDS["random items"], Events.EPOCH_COMPLETED(once=epoch), epochs=4, epoch_length=length
    )

    assert place == epoch * length
    assert resumed == whole[place:]


def test_a_stream_that_a_handler_opens_again_can_be_resumed():
    def resumable(log, state=None):
        engine = DeterministicEngine(log)

        @engine.on(Events.DATALOADER_STOP_ITERATION)
        def again():
            engine.state.dataloader = iter(Shuffled())

        saved = []
        engine.add_event_handler(Events.ITERATION_COMPLETED(once=LENGTH + 3), lambda: saved.append(engine.state_dict()))
        if state is not None:
            engine.load_state_dict(state)
        torch.manual_seed(12)
        engine.run(list(range(LENGTH)) if state is None else Shuffled(), max_epochs=3, epoch_length=LENGTH)
        return saved

    whole, resumed = Log(), Log()
    (state,) = resumable(whole)
    disturb()
    resumable(resumed, state)

    assert resumed == whole[LENGTH + 3 :]


def test_without_rng_states_the_batches_are_the_same():
    whole, resumed = Log(), Log()
    run(KINDS["shuffled"](), whole, max_epochs=2)
    engine = DeterministicEngine(resumed)
    engine.load_state_dict({"epoch_length": LENGTH, "iteration": 9, "max_epochs": 2, "rng_states": None})
    torch.manual_seed(12)
    engine.run(KINDS["shuffled"]())

    assert [batch for batch, *_ in resumed] == [batch for batch, *_ in whole[9:]]


def weights_of_a_training(epochs: int, state: Any, parts: Any, save_at: Any) -> Any:
    model, optimizer = parts
    trainer = create_supervised_trainer(model, optimizer, nn.MSELoss(), deterministic=True)
    saved: list[Any] = []
    trainer.add_event_handler(
        save_at,
        lambda: saved.append(pickle.dumps((trainer.state_dict(), (model, optimizer)))),
    )
    if state is not None:
        trainer.load_state_dict(state)
    torch.manual_seed(5)
    x = torch.arange(40.0).reshape(20, 2) / 40
    trainer.run(DataLoader(TensorDataset(x, x), 3, shuffle=True), max_epochs=epochs)
    return [weight.tolist() for weight in model.parameters()], saved


@pytest.mark.parametrize("event", [Events.EPOCH_COMPLETED(once=1), Events.ITERATION_COMPLETED(once=LENGTH + 2)])
def test_a_resumed_training_with_dropout_ends_with_the_same_weights(event):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    weights, (saved,) = weights_of_a_training(3, None, (model, torch.optim.Adam(model.parameters())), event)
    disturb()
    state, parts = pickle.loads(saved)

    assert weights_of_a_training(3, state, parts, Events.INTERRUPT) == (weights, [])


# Suspended runs


def suspended(event: Any, kind: str) -> tuple[DeterministicEngine, Any]:
    engine = DeterministicEngine(Log())
    engine.add_event_handler(event, engine_interrupt)
    data = KINDS[kind]()
    torch.manual_seed(12)
    engine.run(data, max_epochs=2, epoch_length=LENGTH)
    disturb()
    return engine, data


def engine_interrupt(engine: Any) -> None:
    engine.interrupt()


@pytest.mark.parametrize("event", [Events.GET_BATCH_STARTED, Events.GET_BATCH_COMPLETED, Events.ITERATION_COMPLETED])
@pytest.mark.parametrize("kind", ["shuffled", "random items", "a generator"])
def test_a_suspended_run_resumes_to_the_same_batches_and_random_numbers(kind, event):
    engine, data = suspended(event(once=LENGTH + 2), kind)

    engine.run(data)

    assert engine._process_function == run(KINDS[kind](), max_epochs=2, epoch_length=LENGTH)


@pytest.mark.parametrize("event", [Events.GET_BATCH_STARTED, Events.GET_BATCH_COMPLETED, Events.ITERATION_COMPLETED])
@pytest.mark.parametrize("kind", ["shuffled", "random items"])
def test_a_pickled_suspended_run_resumes_to_the_same_batches_and_random_numbers(kind, event):
    engine = pickle.loads(pickle.dumps(suspended(event(once=LENGTH + 2), kind)[0]))

    engine.run(KINDS[kind]())

    assert engine._process_function == run(KINDS[kind](), max_epochs=2)


def test_a_suspended_run_needs_no_data_and_a_new_run_does():
    engine, _ = suspended(Events.ITERATION_COMPLETED(once=2), "shuffled")
    engine.run()
    assert len(engine._process_function) == 2 * LENGTH

    engine, _ = suspended(Events.ITERATION_COMPLETED(once=2), "shuffled")
    engine.state.max_epochs = None
    for new in (engine, DeterministicEngine(lambda engine, batch: None)):
        with pytest.raises(ValueError, match="data=None") as caught:
            new.run(max_epochs=3, epoch_length=2)
        assert str(caught.value) == (
            "Deterministic engine does not support the option of data=None. Please, provide data as iterable, "
            "or use Engine."
        )


# Custom lifecycles


def lifecycle_with_phases(log: Log) -> Lifecycle:
    """Return a lifecycle with two phases instead of a step, each of which draws random numbers."""
    lifecycle = Lifecycle.training()
    lifecycle.add_phase("look", lambda engine: log(engine, engine.state.batch))
    lifecycle.add_phase("look again", lambda engine: log(engine, engine.state.batch))
    path = Events.ITERATION_STARTED >> "look" >> "look again" >> Events.ITERATION_COMPLETED
    lifecycle.add_path(path, required=True)
    return lifecycle


@pytest.mark.parametrize("iteration", [1, LENGTH, LENGTH + 4])
@pytest.mark.parametrize("kind", ["shuffled", "random items", "an iterable"])
def test_a_custom_lifecycle_can_be_repeated_and_resumed(kind, iteration):
    whole, again, resumed, saved = Log(), Log(), Log(), []
    for log in (whole, again):
        engine = DeterministicEngine(lifecycle=lifecycle_with_phases(log))
        save = Events.ITERATION_COMPLETED(once=iteration)
        engine.add_event_handler(save, lambda engine: saved.append((engine.state_dict(), len(whole))))
        torch.manual_seed(12)
        engine.run(KINDS[kind](), max_epochs=3)
        disturb()

    engine = DeterministicEngine(lifecycle=lifecycle_with_phases(resumed))
    engine.load_state_dict(saved[0][0])
    torch.manual_seed(12)
    engine.run(KINDS[kind]())
    assert len(whole) == 2 * 3 * LENGTH
    assert (whole == again, resumed == whole[saved[0][1] :], saved[0][1]) == (True, True, 2 * iteration)


def test_a_lifecycle_without_optional_phases_can_be_run():
    lifecycle = Lifecycle.training(Log())
    taken = (Events.INTERRUPT, Events.TERMINATE_SINGLE_EPOCH, Events.DATALOADER_STOP_ITERATION)
    lifecycle.remove(
        *[phase for phase in lifecycle.phases if phase.event in taken],
        *[t for t in lifecycle.transitions if t.source in taken or t.target in taken],
    )
    engine = DeterministicEngine(lifecycle=lifecycle)
    torch.manual_seed(12)
    engine.run(KINDS["shuffled"](), max_epochs=1)
    assert engine._process_function == run(KINDS["shuffled"](), max_epochs=1)


def test_a_lifecycle_without_epochs_is_an_error():
    with pytest.raises(ValueError, match=r"the lifecycle 'ppo' has no EPOCH_STARTED.* Use Engine"):
        DeterministicEngine(lifecycle=Lifecycle("ppo"))
    with pytest.raises(ValueError, match="both a step and a lifecycle"):
        DeterministicEngine(Log(), lifecycle=Lifecycle.training())


# State dicts


def test_a_state_dict_has_the_rng_states_as_plain_data():
    engine = DeterministicEngine(lambda engine, batch: None)
    file = io.BytesIO()
    torch.save(engine.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    expected = random.random(), np.random.rand(), torch.rand(())
    disturb()

    assert list(state) == ["epoch_length", "iteration", "max_epochs", "rng_states"]
    python, of_torch, of_numpy = state["rng_states"]
    random.setstate(python)
    torch.set_rng_state(of_torch)
    np.random.set_state(of_numpy)
    assert (random.random(), np.random.rand(), torch.rand(())) == expected


def test_a_state_dict_of_ignite_can_be_loaded():
    theirs = ignite.engine.DeterministicEngine(Log())
    saved = []
    theirs.add_event_handler(
        ignite.engine.Events.ITERATION_COMPLETED(once=9), lambda: saved.append(theirs.state_dict())
    )
    torch.manual_seed(12)
    theirs.run(KINDS["shuffled"](), max_epochs=2)
    engine = DeterministicEngine(Log())
    engine.load_state_dict(saved[0])
    torch.manual_seed(12)
    engine.run(KINDS["shuffled"]())

    assert engine._process_function == theirs._process_function[9:]


def test_a_state_dict_without_rng_states_is_an_error():
    engine = DeterministicEngine(lambda engine, batch: None)

    with pytest.raises(ValueError, match=r"user state attribute 'rng_states' is absent.*state_dict_user_keys"):
        engine.load_state_dict({"epoch_length": 1, "iteration": 0, "max_epochs": 2})


def test_engine_and_data_are_freed_with_their_last_reference():
    data = DataLoader(numbers(), 3, shuffle=True)
    engine = DeterministicEngine(lambda engine, batch: None)
    engine.run(data)
    gone = [weakref.ref(thing) for thing in (engine, data, data.dataset)]

    gc.disable()
    try:
        del engine, data
        assert [ref() for ref in gone] == [None] * 3
    finally:
        gc.enable()


# Samplers and functions


def test_a_reproducible_sampler_skips_batches_in_the_first_pass_only():
    sampler = ReproducibleBatchSampler(BatchSampler(range(7), 2, False), start_iteration=2)

    assert (list(sampler), list(sampler), len(sampler)) == ([[4, 5], [6]], [[0, 1], [2, 3], [4, 5], [6]], 4)
    assert (sampler.batch_size, sampler.drop_last) == (2, False)


def test_a_reproducible_sampler_needs_a_batch_sampler():
    with pytest.raises(TypeError) as caught:
        ReproducibleBatchSampler(range(3))

    assert str(caught.value) == (
        "Argument batch_sampler should be torch.utils.data.sampler.BatchSampler, got range(0, 3)."
    )


class OddLoader(DataLoader):
    """Has a different signature of `__init__`, and an additional attribute."""

    def __init__(self, top: int) -> None:
        super().__init__(TensorDataset(torch.arange(top)), 4, collate_fn=lambda items: [int(i) for (i,) in items])
        self.top = top


def test_update_dataloader_keeps_class_and_attributes():
    data = OddLoader(5)

    rebuilt = update_dataloader(data, ReproducibleBatchSampler(BatchSampler(range(5), 2, True)))

    assert (list(rebuilt), len(rebuilt), type(rebuilt), rebuilt.top) == ([[0, 1], [2, 3]], 2, OddLoader, 5)
    assert list(data) == [[0, 1, 2, 3], [4]]
    assert list(update_dataloader(data, data.batch_sampler)) == list(data)


def test_keep_random_state_restores_the_global_rngs():
    @keep_random_state
    def draw(what, *, fail=False):
        """Draw."""
        disturb()
        if fail:
            raise KeyError(what)
        return what

    def state():
        return random.getstate(), torch.get_rng_state().tolist(), str(np.random.get_state())

    before = state()
    assert (draw(3), draw.__name__, draw.__doc__) == (3, "draw", "Draw.")
    assert state() == before
    with pytest.raises(KeyError):
        draw(3, fail=True)
    assert state() == before


def test_the_root_package_exports_the_engine_and_create_supervised_trainer_makes_it():
    model = nn.Linear(1, 1)
    arguments = (model, torch.optim.SGD(model.parameters(), lr=0.1), nn.MSELoss())
    trainer = create_supervised_trainer(*arguments, deterministic=True)

    assert fsm_engine.DeterministicEngine is DeterministicEngine
    assert [type(trainer), type(create_supervised_trainer(*arguments))] == [
        DeterministicEngine,
        fsm_engine.Engine,
    ]
