"""An exception at any line of a run leaves an engine that runs again and calls the attached handlers and no others."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import fsm_engine
from fsm_engine import BusyError, Engine, EventEnum, Events, Outcome, Scope
from fsm_engine.engine.breakpoints import _interrupt

PACKAGE = str(Path(fsm_engine.__file__).parent)
DATA = [1, 2]


class Stop(BaseException):
    """Raised at one line of the library, as Ctrl-C raises KeyboardInterrupt."""


class Recovery(EventEnum):
    RETRY = "retry"


@contextmanager
def fault_at(line: int) -> Iterator[list[int]]:
    """Raise `Stop` at line event number `line` inside the library; the list has the number of line events."""
    count = [0]

    def on_line(frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "line":
            count[0] += 1
            if count[0] == line:
                raise Stop(f"{frame.f_code.co_filename}:{frame.f_lineno}")
        return on_line

    def on_call(frame: FrameType, _event: str, _arg: Any) -> Any:
        name = frame.f_code.co_filename
        return on_line if name.startswith((PACKAGE, "<fsm_engine")) else None

    sys.settrace(on_call)
    try:
        yield count
    finally:
        sys.settrace(None)


class Program:
    """An engine with a log of its handlers, and one way to run it."""

    def __init__(self, prepare: Callable[[Program], None] = lambda program: None, **arguments: Any) -> None:
        self.log: list[str] = []
        self.arguments = {"max_epochs": 2, **arguments}
        self.engine = Engine(self.step)
        for event in Events:
            self.engine.add_event_handler(event, self.note, event.name)
        prepare(self)

    def step(self, _engine: Engine, batch: int) -> int:
        return batch

    def note(self, *given: Any) -> None:
        self.log.append(given[-1])

    def run(self) -> None:
        self.engine.run(DATA, **self.arguments)

    def run_again(self) -> list[str]:
        """Return the events of a fresh run."""
        self.log.clear()
        self.engine.state.max_epochs = self.engine.state.max_iters = None
        self.engine.run(DATA, max_epochs=2)
        return self.log


def observed(program: Program) -> None:
    program.engine.observe(lambda engine, transition: None)


def with_edges(program: Program) -> None:
    program.engine.add_event_handler(Events.ITERATION_STARTED >> Events.ITERATION_COMPLETED, program.note, "edge")
    program.engine.on_exit(Scope.EPOCH)(lambda: program.log.append("exit"))


def with_recovery(program: Program) -> None:
    failures = iter([True])

    def fail_once(_engine: Engine, batch: int) -> int:
        if next(failures, False):
            raise ValueError("once")
        return batch

    program.engine._process_function = fail_once
    lifecycle = program.engine.lifecycle
    lifecycle.add_transition(Events.ITERATION_STARTED >> Recovery.RETRY, error=ValueError, limit=3)
    lifecycle.add_transition(Recovery.RETRY >> Scope.ITERATION)


def with_changes(program: Program) -> None:
    def attach(engine: Engine) -> None:
        with engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: None):
            engine.terminate_epoch()

    program.engine.add_event_handler(Events.GET_BATCH_STARTED(once=2), attach)


PROGRAMS: dict[str, Callable[[], Program]] = {
    "plain": Program,
    "observed": lambda: Program(observed),
    "edges": lambda: Program(with_edges),
    "recovery": lambda: Program(with_recovery),
    "changes": lambda: Program(with_changes),
    "breakpoint": lambda: Program(until=Events.ITERATION_COMPLETED(once=3)),
    "transitions": lambda: Program(driver="transitions"),
}


def faults(make: Callable[[], Program], every: int) -> Iterator[tuple[str, Program]]:
    """Yield programs whose run was stopped at one line of the library: the first, and one in `every` after it."""
    make().run()  # compiles the functions, which later runs find in the caches
    program = make()
    with fault_at(0) as count:
        program.run()
    for line in range(1, count[0] + 1, every):
        program, place = make(), ""
        with fault_at(line):
            try:
                program.run()
            except Stop as stop:
                place = str(stop)
        yield place, program


def broken_engines(name: str, every: int) -> tuple[int, list[tuple[str, str]]]:
    """Return the number of faults, and the place and the effect of each fault that broke the engine."""
    expected, broken, number = PROGRAMS[name]().run_again(), [], 0
    for place, program in faults(PROGRAMS[name], every):
        number += 1
        try:
            assert not program.engine.is_running
            assert program.run_again() == expected
            assert program.engine.outcome is Outcome.COMPLETED
            assert _interrupt not in program.engine.handlers()
        except (Exception, Stop) as error:
            broken.append((place, f"{type(error).__name__}: {error}"[:100]))
    return number, broken


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_engine_survives_an_exception_at_some_lines(name: str) -> None:
    number, broken = broken_engines(name, every=41)
    assert (number > 10, broken) == (True, [])


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_an_engine_survives_an_exception_at_any_line(name: str) -> None:
    number, broken = broken_engines(name, every=1)
    assert (number > 400, broken) == (True, [])


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
        self.release.wait(10)

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
