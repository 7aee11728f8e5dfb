"""Exceptions at any line of a run, and other threads: the engine runs again and calls the attached handlers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fsm_engine import BusyError, Engine, Events, Outcome
from fsm_engine.runtime.claim import Claim, nobody

DATA = [1, 2]
SCRIPT = Path(__file__).parents[1] / "support" / "fault_injection.py"
PROGRAMS = [
    *("plain", "observed", "edges", "recovery", "changes", "callbacks", "phases", "recording", "nested", "breakpoint"),
    *("transitions", "inspected"),
]


def inject(program: str, *options: str) -> tuple[int, list[str]]:
    """Return the number of runs that were stopped, and the engines that this broke."""
    command = [sys.executable, str(SCRIPT), program, *options]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])}  # the package need not be installed
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    number, *broken = done.stdout.splitlines()
    return int(number), broken


@pytest.mark.parametrize("kind", ["--lines", "--opcodes"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_an_engine_survives_an_exception_at_some_places(program: str, kind: str) -> None:
    if program == "inspected":
        pytest.importorskip("torch")
    assert inject(program, kind, "--sample=25") == (25, [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "kind", "sample"),
    [
        ("plain", "--lines", 1000),
        ("plain", "--opcodes", 1000),
        ("changes", "--lines", 300),
        ("callbacks", "--opcodes", 300),
        ("nested", "--lines", 100),
        ("checkpoint", "--lines", 60),
        ("checkpoint", "--opcodes", 60),
    ],
)
def test_an_engine_survives_an_exception_at_many_places(program: str, kind: str, sample: int) -> None:
    if program == "checkpoint":
        pytest.importorskip("torch")
    assert inject(program, kind, f"--sample={sample}", "--seed=1") == (sample, [])


def test_an_exception_while_a_recording_begins_leaves_no_recorder() -> None:
    number, broken = inject("recording begins", "--every=3")
    assert number > 50
    assert broken == []


def test_an_exception_in_the_first_move_fails_the_run() -> None:
    engine = Engine(lambda engine, batch: batch)
    engine.on_exit(Events.STARTED)(lambda: None)

    def fail() -> None:
        raise ValueError("first")

    engine.add_event_handler("IDLE" >> Events.STARTED, fail)
    with pytest.raises(ValueError, match="first"):
        engine.run(DATA)
    assert (engine.outcome, engine.is_running) == (Outcome.FAILED, False)


class Race:
    """Two threads that run one engine at the same moment; the step waits until one of them was refused."""

    def __init__(self) -> None:
        self.inside: list[int] = []
        self.refused: list[BusyError] = []
        self.start, self.release = threading.Barrier(2), threading.Event()
        self.engine = Engine(self.step)

    def step(self, _engine: Engine, _batch: int) -> None:
        self.inside.append(threading.get_ident())
        self.release.wait(200)

    def run(self) -> None:
        self.start.wait()
        try:
            self.engine.run([1])
        except BusyError as error:
            self.refused.append(error)
            self.release.set()


def test_of_two_threads_that_run_one_engine_one_is_refused() -> None:
    for _ in range(100):
        race = Race()
        threads = [threading.Thread(target=race.run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(race.inside), len(race.refused)) == (1, 1)


def test_no_observer_that_another_thread_adds_is_lost() -> None:
    engine = Engine(lambda engine, batch: batch)
    called: set[tuple[int, int]] = set()
    start = threading.Barrier(4)

    def add(thread: int) -> None:
        start.wait()
        for number in range(200):
            engine.observe(lambda *_, key=(thread, number): called.add(key))
            engine.observe(lambda *_: called.add((-1, -1))).remove()

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.run([1])
    assert called == {(thread, number) for thread in range(4) for number in range(200)}


def test_a_claim_that_was_not_used_is_succeeded_and_a_held_claim_is_not() -> None:
    first, unused, held, late = Claim(), Claim(), Claim(object), Claim()
    assert unused.succeed(first)  # an exception keeps its run from storing it
    assert held.succeed(first)
    assert not late.succeed(first)
    held.holder = nobody
    assert late.succeed(first)


def test_no_handler_that_another_thread_attaches_is_lost() -> None:
    engine = Engine(lambda engine, batch: engine.fire_event("mine"))
    engine.register_events("mine")
    called: list[tuple[str, int]] = []
    done = threading.Event()

    def attach(event: Any, name: str) -> None:
        for number in range(100):
            engine.add_event_handler(event, lambda name=name, number=number: called.append((name, number)))

    threads = [threading.Thread(target=attach, args=(Events.ITERATION_COMPLETED, "a")) for _ in range(2)]
    threads += [threading.Thread(target=attach, args=("mine", "b")) for _ in range(2)]

    def until_attached() -> Iterator[int]:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            yield 0
        done.set()
        called.clear()
        yield 1

    engine.run(until_attached(), max_epochs=1)
    assert done.is_set()
    assert len(called) == 400
