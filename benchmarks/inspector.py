"""The cost of the live inspector: without a page, with a page that reads everything, and after it was closed.

Run ``python benchmarks/inspector.py``; README.md in this folder explains the table.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from contestants import ITERATIONS, digits_batches, digits_model, installed, no_op
from harness import Benchmark, Contestant, Cost, Row, at_most, main

import fsm_engine
from fsm_engine.timeline import Timeline

PAGE = """
import sys
from websockets.sync.client import connect
with connect(sys.argv[1].replace("http", "ws", 1) + "live", max_size=None) as page:
    page.recv()
    print("connected", flush=True)
    for _ in page:
        pass
"""

_opened = ExitStack()
"""The recording, the inspector and the page of the last measurement. They are closed before the next one."""


def trainer() -> tuple[Any, Any]:
    """Return a supervised trainer of a small model on the digits, and its data."""
    model, optimizer, loss_fn = digits_model()
    return fsm_engine.create_supervised_trainer(model, optimizer, loss_fn), digits_batches()


def engine() -> tuple[Any, Any]:
    """Return an engine with an empty step, and its data."""
    return fsm_engine.Engine(no_op), [0] * ITERATIONS["engine"]


def contestant(name: str, make: Callable[[], tuple[Any, Any]], epochs: int, begin: Callable[[Any], None]) -> Contestant:
    """Return a contestant that runs an engine after `begin` was called with it."""

    def ready() -> Callable[[], object]:
        _opened.close()
        made, data = make()
        begin(made)
        return functools.partial(made.run, data, max_epochs=epochs)

    return Contestant(name, ready)


def plain(_: Any) -> None:
    """Neither record nor inspect."""


def record(made: Any) -> None:
    """Record the engine."""
    _opened.enter_context(made.record(Timeline()))


def inspect(made: Any) -> None:
    """Inspect the engine."""
    _opened.enter_context(made.inspect())


def inspect_with_page(made: Any) -> None:
    """Inspect the engine, and let another process read all messages."""
    inspector = _opened.enter_context(made.inspect())
    page = subprocess.Popen([sys.executable, "-c", PAGE, inspector.address], stdout=subprocess.PIPE, stderr=-3)
    _opened.callback(page.wait)
    _opened.callback(page.kill)
    assert page.stdout is not None
    page.stdout.readline()


def inspect_and_close(made: Any) -> None:
    """Inspect the engine, and close the inspector."""
    made.inspect().close()


def compared(
    make: Callable[[], tuple[Any, Any]], epochs: int, rows: dict[str, tuple[Callable[[Any], None], str, float]]
) -> Benchmark:
    """Return a benchmark with a row for each label: how to begin, the other contestant, and the limit of the ratio."""
    table = [Row(label, Cost(label), Cost(other), other, at_most(limit)) for label, (_, other, limit) in rows.items()]
    if not installed("torch", "uvicorn", "websockets"):
        return Benchmark([], table, missing="torch, uvicorn or websockets is not installed")
    others = {"plain": plain, "recorded": record}
    begins = {other: others[other] for _, other, _ in rows.values()} | {label: row[0] for label, row in rows.items()}
    return Benchmark([contestant(name, make, epochs, begin) for name, begin in begins.items()], table)


def training(quick: bool) -> Benchmark:
    """Measure a training on the digits."""
    rows: dict[str, tuple[Callable[[Any], None], str, float]] = {
        "digits, no page": (inspect, "recorded", 1.02),
        "digits, a page": (inspect_with_page, "recorded", 1.05),
        "digits, closed": (inspect_and_close, "plain", 1.01),
    }
    return compared(trainer, 100 if quick else 300, rows)


def empty(quick: bool) -> Benchmark:
    """Measure an engine with an empty step."""
    rows: dict[str, tuple[Callable[[Any], None], str, float]] = {
        "no-op step, a page": (inspect_with_page, "recorded", 1.5),
    }
    return compared(engine, 20 if quick else 60, rows)


BENCHMARKS: dict[str, Callable[[bool], Benchmark]] = {"training": training, "empty": empty}


if __name__ == "__main__":
    main(BENCHMARKS, "Measure the cost of the live inspector.")
