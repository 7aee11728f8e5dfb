"""Contestants shared by the benchmarks: engines with a step that does nothing, and a training job."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from harness import Contestant

import fsm_engine

# Each measurement takes tens of milliseconds, so that a slow moment of the machine affects all contestants of a round.
ITERATIONS = {"reference": 100_000, "engine": 100_000, "Ignite": 4_000}
BATCH_SIZE = 64


def engines() -> dict[str, Any]:
    """Return the modules that have `Engine` and `Events`, by the names of their contestants."""
    found: dict[str, Any] = {"engine": fsm_engine}
    if installed("ignite", "torch"):
        found["Ignite"] = importlib.import_module("ignite.engine")
    return found


def installed(*modules: str) -> bool:
    """Return True if all `modules` are installed, without importing them."""
    return all(importlib.util.find_spec(module) for module in modules)


def looped(name: str, engine: Any, kind: str) -> Contestant:
    """Return a contestant that runs one epoch of `engine`."""
    data = [0] * ITERATIONS[kind]
    return Contestant(name, lambda: functools.partial(engine.run, data), len(data))


def no_op(_engine: Any, _batch: Any) -> None:
    """A step that does nothing."""


def no_op_handler(_engine: Any) -> None:
    """A handler that does nothing."""


def digits_batches() -> list[tuple[Any, Any]]:
    """Return scikit-learn's digits in batches, and set torch to one thread."""
    import torch
    from sklearn.datasets import load_digits

    torch.set_num_threads(1)
    data = load_digits()
    x, y = torch.tensor(data.data / 16.0, dtype=torch.float32), torch.tensor(data.target)
    return list(zip(x.split(BATCH_SIZE), y.split(BATCH_SIZE)))


def digits_model() -> tuple[Any, Any, Any]:
    """Return a small MLP, its optimizer and its loss."""
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    return model, torch.optim.SGD(model.parameters(), lr=0.1), torch.nn.CrossEntropyLoss()


def bare_training(batches: list[tuple[Any, Any]], epochs: int) -> Callable[[], object]:
    """Return a training loop written by hand."""
    model, optimizer, loss_fn = digits_model()

    def train() -> float:
        output = 0.0
        model.train()
        for _ in range(epochs):
            for x, y in batches:
                optimizer.zero_grad()
                loss = loss_fn(model(x), y)
                loss.backward()
                optimizer.step()
                output = loss.item()
        return output

    return train


def step_by_hand(model: Any, optimizer: Any, loss_fn: Any) -> fsm_engine.Engine:
    """Return an engine whose step has the lines of the bare loop."""
    model.train()

    def step(_engine: Any, batch: Any) -> float:
        x, y = batch
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()  # type: ignore[no-any-return]

    return fsm_engine.Engine(step)


def observed_trainer(model: Any, optimizer: Any, loss_fn: Any) -> fsm_engine.Engine:
    """Return a supervised trainer with a handler on each of its `StepEvents`."""
    trainer = fsm_engine.create_supervised_trainer(model, optimizer, loss_fn)
    for event in fsm_engine.StepEvents:
        if trainer.has_registered_events(event):
            trainer.add_event_handler(event, no_op_handler)
    return trainer


def engine_training(create: Any, batches: list[tuple[Any, Any]], epochs: int) -> Callable[[], object]:
    """Return a call that runs the trainer made by `create`."""
    return functools.partial(create(*digits_model()).run, batches, max_epochs=epochs)
