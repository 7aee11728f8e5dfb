"""Passes that start at a later batch: skipped batches are not loaded if that is possible."""

from __future__ import annotations

import pickle
from itertools import chain
from typing import Any

import pytest

from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import Events
from fsm_engine.runtime.data_iter import iter_from

torch = pytest.importorskip("torch")

from fsm_engine.supervised.deterministic import DeterministicEngine  # noqa: E402


class Squares(torch.utils.data.Dataset):
    """Square numbers; records the indices that are loaded."""

    def __init__(self) -> None:
        self.loaded: list[int] = []

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> int:
        self.loaded.append(index)
        return index * index


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self) -> Any:
        return iter(range(10))


def loader(**options: Any) -> Any:
    return torch.utils.data.DataLoader(Squares(), **{"batch_size": 2, **options})


def test_a_sequence_is_indexed() -> None:
    class Touchy(list[int]):
        def __iter__(self) -> Any:
            raise AssertionError("iterated over from the start")

    assert list(iter_from(Touchy([0, 1, 2, 3]), 2)) == [2, 3]
    assert list(iter_from([0, 1], 5)) == []


def test_an_iterable_is_consumed_up_to_the_first_batch() -> None:
    assert list(iter_from(iter([0, 1, 2, 3]), 3)) == [3]
    assert list(iter_from({0: None, 1: None}, 3)) == []


def test_a_loader_skips_by_sampler_index() -> None:
    data = loader()
    assert [batch.tolist() for batch in iter_from(data, 3)] == [[36, 49], [64, 81]]
    assert data.dataset.loaded == [6, 7, 8, 9]
    assert next(iter(data)).tolist() == [0, 1]
    assert len(data) == 5


def test_a_loader_without_batches_skips_by_sampler_index() -> None:
    data = loader(batch_size=None)
    assert [int(number) for number in iter_from(data, 8)] == [64, 81]
    assert data.dataset.loaded == [8, 9]


def test_a_loader_of_a_stream_is_consumed() -> None:
    data = torch.utils.data.DataLoader(Stream(), batch_size=4)
    assert [batch.tolist() for batch in iter_from(data, 1)] == [[4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("persistent", [False, True])
def test_a_loader_with_workers_skips_by_sampler_index(persistent: bool) -> None:
    data = loader(num_workers=1, persistent_workers=persistent)
    whole = [batch.tolist() for batch in data]
    assert [batch.tolist() for batch in iter_from(data, 3)] == whole[3:]
    assert [batch.tolist() for batch in data] == whole


def test_a_shuffled_loader_continues_in_the_order_of_its_seed() -> None:
    whole = [batch.tolist() for batch in loader(shuffle=True, generator=torch.Generator().manual_seed(3))]
    again = loader(shuffle=True, generator=torch.Generator().manual_seed(3))
    assert [batch.tolist() for batch in iter_from(again, 2)] == whole[2:]


SEEN: list[Any] = []


def step(engine: Engine, batch: Any) -> None:
    SEEN.append(batch.tolist())


def suspend(engine: Engine) -> None:
    engine.interrupt()


@pytest.mark.parametrize("event", [Events.GET_BATCH_COMPLETED, Events.ITERATION_STARTED, Events.ITERATION_COMPLETED])
def test_a_pickled_run_over_a_shuffled_loader_resumes_with_the_remaining_batches(event: Events) -> None:
    def data() -> Any:
        return loader(shuffle=True, generator=torch.Generator().manual_seed(5))

    SEEN.clear()
    Engine(step).run(data(), max_epochs=2)
    whole = list(SEEN)
    SEEN.clear()
    engine = Engine(step)
    handle = engine.add_event_handler(event(once=2), suspend)
    engine.run(data(), max_epochs=2)
    handle.remove()
    again = pickle.loads(pickle.dumps(engine))
    given = data()
    again.run(given)
    assert SEEN[:5] == whole[:5]
    assert sorted(chain(*SEEN)) == sorted(chain(*whole))
    # The resumed run loads the remaining batches of the first pass and the whole second pass.
    taken = 3 if event is Events.GET_BATCH_COMPLETED else 2
    assert len(given.dataset.loaded) == 20 - 2 * taken


class OwnBatches(torch.utils.data.DataLoader):
    """Loader that makes its own batches and has no `dataset`."""

    def __init__(self) -> None:
        pass

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Any:
        return iter([1, 2, 3])


@pytest.mark.parametrize("engine_class", [Engine, DeterministicEngine])
@pytest.mark.parametrize("exactly", [False, True])
def test_a_loader_without_a_dataset_runs_and_resumes(engine_class: type[Engine], exactly: bool) -> None:
    def made() -> tuple[Engine, list[int]]:
        seen: list[int] = []
        engine = engine_class(lambda engine, batch: seen.append(batch))
        engine.resumes_exactly = exactly
        return engine, seen

    first, seen = made()
    first.run(OwnBatches(), max_epochs=2, until=Events.ITERATION_COMPLETED(once=5))
    second, rest = made()
    second.load_state_dict(first.state_dict())
    second.run(OwnBatches())
    assert (seen, rest) == ([1, 2, 3, 1, 2], [3])
