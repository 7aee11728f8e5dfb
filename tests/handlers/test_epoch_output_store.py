"""`EpochOutputStore`: the outputs of an epoch, also of an epoch that is resumed."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

pytest.importorskip("torch")

from fsm_engine import Engine, Events
from fsm_engine.handlers import EpochOutputStore


def echo(engine: Engine, batch: Any) -> Any:
    return batch


def doubled(output: int) -> int:
    return 2 * output


def test_each_epoch_has_its_own_list_of_outputs() -> None:
    engine, store = Engine(lambda engine, batch: batch + engine.state.epoch), EpochOutputStore(doubled)
    store.attach(engine, "outputs")
    lists = []
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: lists.append(engine.state.outputs))
    engine.run([10, 20], max_epochs=2)
    assert lists == [[22, 42], [24, 44]]
    assert store.data is lists[1]


def test_without_a_name_the_state_gets_no_attribute() -> None:
    engine, store = Engine(echo), EpochOutputStore()
    store.attach(engine)
    before = {*engine.state.attributes()}
    engine.run([1, 2])
    assert (store.data, {*engine.state.attributes()}) == ([1, 2], before)


def test_it_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(EpochOutputStore(doubled)))._output_transform is doubled


def test_a_resumed_epoch_has_all_outputs() -> None:
    def make() -> tuple[Engine, EpochOutputStore]:
        engine, store = Engine(echo), EpochOutputStore()
        engine.resumes_exactly = True
        store.attach(engine, "outputs")
        return engine, store

    engine, store = make()
    engine.run([1, 2, 3], max_epochs=2, until=Events.ITERATION_COMPLETED(once=5))
    saved = pickle.dumps(engine.state_dict())
    assert store.state_dict() == {"data": [1, 2]}
    engine, store = make()
    engine.load_state_dict(pickle.loads(saved))
    engine.run([1, 2, 3])
    assert (engine.state.outputs, store.data, store.state_dict()) == ([1, 2, 3], [1, 2, 3], {"data": []})
