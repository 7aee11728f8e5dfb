"""Failed runs: handlers of EXCEPTION_RAISED see the exception and can save, and the process exits with an error."""

from __future__ import annotations

import math
import mmap
import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from children import Children

pytest.importorskip("torch")

import torch
from torch.utils.data import DataLoader, Dataset

from fsm_engine import Engine, Events
from fsm_engine.handlers import TerminateOnNan

FETCHED = mmap.mmap(-1, 1)
"""The current batch of the run, visible to workers."""


class Numbers(Dataset[int]):
    """The numbers from 0 to 7; reading the sixth calls `fail`."""

    def __init__(self, fail: Callable[[], Any]) -> None:
        self.fail = fail

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> int:
        if index == 5:
            self.fail()
        return index


def raises() -> None:
    raise ValueError("the sixth is broken")


def dies() -> None:
    while FETCHED[0] < 4:  # otherwise the run would notice it in an earlier iteration
        time.sleep(0.001)
    os._exit(7)


def out_of_memory(engine: Engine, batch: Any) -> Any:
    if engine.state.iteration == 3:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    return batch


def not_a_number(engine: Engine, batch: Any) -> float:
    loss = math.nan if engine.state.iteration == 3 else 0.5
    if math.isnan(loss):
        raise FloatingPointError("the loss is NaN")
    return loss


def echo(engine: Engine, batch: Any) -> Any:
    FETCHED[0] = batch
    return batch


def release(error: Exception) -> None:
    """Break the reference cycle between a torch error and its frames; otherwise workers end 5 s late."""
    traceback.clear_frames(error.__traceback__)


def workers(fail: Callable[[], Any]) -> Callable[[], Any]:
    def make() -> Any:
        FETCHED[0] = 0
        return DataLoader(Numbers(fail), batch_size=None, num_workers=1, multiprocessing_context="fork")

    return make


FAILURES = [
    pytest.param(echo, workers(raises), ValueError, "the sixth is broken", 5, id="an exception in a worker"),
    pytest.param(echo, workers(dies), RuntimeError, "DataLoader worker .* exited unexpectedly", 5, id="a dead worker"),
    pytest.param(out_of_memory, lambda: range(8), torch.OutOfMemoryError, "CUDA out of memory", 3, id="out of memory"),
    pytest.param(not_a_number, lambda: range(8), FloatingPointError, "the loss is NaN", 3, id="NaN"),
]


@pytest.mark.parametrize(("step", "make_data", "kind", "text", "done"), FAILURES)
def test_a_failure_is_seen_once_can_be_saved_and_is_raised(
    step: Any, make_data: Any, kind: type[Exception], text: str, done: int
) -> None:
    engine, seen = Engine(step), []

    @engine.on(Events.EXCEPTION_RAISED)
    def save(engine: Engine, error: Exception) -> None:
        seen.append((error, engine.state_dict()))
        raise error

    with pytest.raises(kind, match=text) as caught:
        engine.run(make_data(), max_epochs=2)
    ((error, saved),) = seen
    assert error is caught.value
    assert engine.outcome == "failed"
    assert saved["iteration"] == engine.state.iteration == done
    release(error)


@pytest.mark.parametrize("name", ["an exception in a worker", "out of memory", "NaN"])
def test_a_failure_that_a_handler_catches_still_ends_the_run(name: str) -> None:
    step, make_data, kind, *_ = next(failure.values for failure in FAILURES if failure.id == name)
    engine, seen = Engine(step), []

    @engine.on(Events.EXCEPTION_RAISED)
    def take(engine: Engine, error: Exception) -> None:
        seen.append(type(error))
        release(error)

    engine.run(make_data(), max_epochs=2)
    assert (engine.outcome, seen, engine.state.epoch) == ("failed", [kind], 1)


def test_a_nan_loss_can_end_the_run_without_a_failure() -> None:
    engine = Engine(lambda engine, batch: torch.tensor(batch))
    engine.add_event_handler(Events.ITERATION_COMPLETED, TerminateOnNan())
    engine.run([0.5, math.nan, 0.5])
    assert (engine.outcome, engine.state.iteration) == ("terminated", 2)


def test_a_state_dict_saved_at_a_failure_resumes_the_run() -> None:
    engine, saved = Engine(out_of_memory), []
    engine.add_event_handler(Events.EXCEPTION_RAISED, lambda engine, error: saved.append(engine.state_dict()))
    engine.run(range(8), max_epochs=2)

    again, batches = Engine(lambda engine, batch: batches.append(batch)), []
    again.load_state_dict(saved[0])
    again.run(range(8))
    assert (again.state.iteration, batches) == (16, [*range(saved[0]["iteration"], 8), *range(8)])


FOLDERS = [Path(__file__).parent, Path(__file__).parents[1] / "support"]
PROGRAM = """
    import os
    import sys
    sys.path[:0] = sys.argv[1].split(os.pathsep)
    from test_failures import FAILURES, Engine, Events

    if __name__ == "__main__":
        step, make_data, *_ = next(failure.values for failure in FAILURES if failure.id == sys.argv[2])
        engine = Engine(step)

        @engine.on(Events.EXCEPTION_RAISED)
        def save(engine, error):
            print("saved", engine.state.iteration, flush=True)
            raise error

        engine.run(make_data(), max_epochs=2)
        print("not reached")
"""


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("a dead worker", "RuntimeError: DataLoader worker"),
        pytest.param("an exception in a worker", "ValueError: the sixth is broken", marks=pytest.mark.slow),
        pytest.param("out of memory", "torch.OutOfMemoryError: CUDA out of memory", marks=pytest.mark.slow),
    ],
)
def test_a_process_whose_run_fails_prints_the_error(children: Children, tmp_path: Path, name: str, last: str) -> None:
    child = children.start(tmp_path, PROGRAM, os.pathsep.join(map(str, FOLDERS)), name)
    status, printed, err = child.wait(), child.out.read_text(), child.err.read_text()
    assert (status, printed.partition(" ")[0], printed.count("\n")) == (1, "saved", 1), err
    assert last in err
