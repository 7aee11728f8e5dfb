"""Raise an exception at each line of a run, and report the engines that it breaks.

    python tests/support/fault_injection.py PROGRAM EVERY

It stops one run at the first line of the library, another at line 1 + EVERY, and so on. It prints the number of runs
and a line per broken engine. It runs in a process of its own, because exceptions in trace functions can damage the
interpreter's count of recursions (CPython 3.11).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import fsm_engine
from fsm_engine import Engine, EventEnum, Events, Outcome, Scope
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
    """Return the number of faults, and the places of those that broke the engine, with what is wrong."""
    expected, broken, number = PROGRAMS[name]().run_again(), [], 0
    for place, program in faults(PROGRAMS[name], every):
        number += 1
        try:
            assert not program.engine.is_running
            assert program.run_again() == expected
            assert program.engine.outcome is Outcome.COMPLETED
            assert _interrupt not in program.engine.handlers()
        except (Exception, Stop) as error:
            broken.append((place, f"{type(error).__name__}: {error}, at {error.__traceback__.tb_lineno}"))
    return number, broken


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    count, failures = broken_engines(sys.argv[1], int(sys.argv[2]))
    print(count)
    for place, problem in failures:
        print(place, problem)
