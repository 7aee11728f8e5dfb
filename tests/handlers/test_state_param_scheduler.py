"""Schedulers of attributes of the state: the same values and errors as in pytorch-ignite."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import ignite.engine
import ignite.handlers
import pytest
import torch
from torch.utils.data import DataLoader

import fsm_engine
import fsm_engine.handlers

LIBRARIES = {"fsm_engine": (fsm_engine, fsm_engine.handlers), "ignite": (ignite.engine, ignite.handlers)}
SCHEDULERS: dict[str, Callable[..., Any]] = {
    "lambda": lambda h, **kw: h.LambdaStateScheduler(lambda_obj=lambda i: 2 * i, param_name="alpha", **kw),
    "piecewise": lambda h, **kw: h.PiecewiseLinearStateScheduler([(2, 1.0), (5, 3.0), (6, 0.0)], "alpha", **kw),
    "exp": lambda h, **kw: h.ExpStateScheduler(2.0, 0.9, "alpha", **kw),
    "step": lambda h, **kw: h.StepStateScheduler(2.0, 0.9, 3, "alpha", **kw),
    "multistep": lambda h, **kw: h.MultiStepStateScheduler(2.0, 0.9, [2, 5], "alpha", **kw),
}


def values(library: str, name: str, event: str = "ITERATION_COMPLETED", **options: Any) -> tuple[list[Any], Any]:
    core, handlers = LIBRARIES[library]
    engine, seen = core.Engine(lambda engine, batch: batch), []
    SCHEDULERS[name](handlers, create_new=True, **options).attach(engine, core.Events[event])
    seen.append(engine.state.alpha)
    engine.add_event_handler(core.Events.ITERATION_COMPLETED, lambda engine: seen.append(engine.state.alpha))
    engine.run(range(4), max_epochs=2)
    return seen, getattr(engine.state, "param_history", None)


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("event", ["ITERATION_COMPLETED", "EPOCH_STARTED"])
def test_values_and_history_are_those_of_ignite(name: str, event: str) -> None:
    options = {"event": event, "save_history": True}
    assert values("fsm_engine", name, **options) == values("ignite", name, **options)


ARGUMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "exp": ("ExpStateScheduler", {"initial_value": 2.0, "gamma": 0.9}),
    "piecewise": ("PiecewiseLinearStateScheduler", {"milestones_values": [(1, 1.0), (4, 2.0)]}),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_simulated_values_are_those_of_ignite(name: str) -> None:
    scheduler, arguments = ARGUMENTS[name]
    ours, theirs = (
        getattr(handlers, scheduler).simulate_values(6, param_name="alpha", **arguments)
        for _, handlers in LIBRARIES.values()
    )
    assert ours == theirs


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name != "lambda"])
def test_state_dict_continues_the_schedule(name: str) -> None:
    state = fsm_engine.State()
    engine = fsm_engine.Engine(lambda engine, batch: batch)
    first, second = (SCHEDULERS[name](fsm_engine.handlers) for _ in range(2))
    for _ in range(4):
        first(engine)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert second.event_index == 4
    first(engine)
    expected, engine.state = engine.state.alpha, state
    second(engine)
    assert engine.state.alpha == expected


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_attribute_that_exists_or_not(library: str) -> None:
    core, handlers = LIBRARIES[library]
    engine = core.Engine(lambda engine, batch: batch)
    with pytest.warns(UserWarning, match=r"'alpha' is not defined.*create_new=True"):
        SCHEDULERS["exp"](handlers).attach(engine)
    with pytest.raises(ValueError, match="'alpha' already exists"):
        SCHEDULERS["exp"](handlers, create_new=True).attach(engine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SCHEDULERS["step"](handlers).attach(engine)


@pytest.mark.parametrize("library", LIBRARIES)
def test_wrong_arguments(library: str) -> None:
    _, handlers = LIBRARIES[library]
    with pytest.raises(ValueError, match="lambda_obj to be callable"):
        handlers.LambdaStateScheduler(1, "alpha")
    for wrong, error in (
        ((1, 2), ValueError),
        ([], ValueError),
        ([(1.5, 2)], TypeError),
        ([(3, 1), (2, 1)], ValueError),
    ):
        with pytest.raises(error):
            handlers.PiecewiseLinearStateScheduler(wrong, "alpha")


def loader() -> DataLoader[Any]:
    return DataLoader(list(range(12)), batch_size=2)


@pytest.mark.parametrize("library", LIBRARIES)
def test_batch_size_scheduler_sets_the_size_of_the_next_epoch(library: str) -> None:
    core, handlers = LIBRARIES[library]
    data, sizes = loader(), []
    engine = core.Engine(lambda engine, batch: sizes.append(len(batch)))
    handlers.BatchSizeScheduler(data, lambda event: 2 + event, save_history=True).attach(engine)
    engine.run(data, max_epochs=2, epoch_length=2)
    assert engine.state.param_history == {"batch_size": [2, 3]}
    assert data.batch_sampler.batch_size == 3
    assert handlers.BatchSizeScheduler.simulate_values(2, scheduler_fn=lambda event: 5 - event) == [[0, 5], [1, 4]]


@pytest.mark.parametrize("library", LIBRARIES)
def test_batch_size_scheduler_refuses_wrong_arguments(library: str) -> None:
    _, handlers = LIBRARIES[library]
    for arguments, error in (
        (([1], lambda event: 1), TypeError),
        ((loader(), 3), TypeError),
        ((DataLoader(list(range(3)), batch_size=None), lambda event: 1), ValueError),
    ):
        with pytest.raises(error):
            handlers.BatchSizeScheduler(*arguments)
    with pytest.raises(ValueError, match="positive integer"):
        handlers.BatchSizeScheduler(loader(), lambda event: 0)(None)
    with pytest.raises(ValueError, match="scheduler_fn"):
        handlers.BatchSizeScheduler.simulate_values(2)


def test_batch_size_scheduler_state_dict() -> None:
    first = fsm_engine.handlers.BatchSizeScheduler(loader(), lambda event: 2 + event)
    first()
    second = fsm_engine.handlers.BatchSizeScheduler(loader(), lambda event: 2 + event)
    second.load_state_dict(first.state_dict())
    assert second.get_param() == 3
    assert isinstance(second.dataloader, torch.utils.data.DataLoader)
