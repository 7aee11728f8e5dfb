"""Raise an exception at each line or instruction of a run, and report the engines that it breaks.

    python tests/support/fault_injection.py PROGRAM --every 1
    python tests/support/fault_injection.py PROGRAM --opcodes --sample 500 --seed 7

The first command stops one run at the first line of the library, another at the second line, and so on. The second
command stops runs at random bytecode instructions. It prints the number of runs and a line per broken engine. It runs
in a process of its own, because exceptions in trace functions can damage the interpreter's count of recursions
(CPython 3.11).
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import fsm_engine
from fsm_engine import Engine, EventEnum, Events, Outcome, Scope
from fsm_engine.engine import recording
from fsm_engine.engine.breakpoints import _interrupt
from fsm_engine.runtime import pauses, run_ends
from fsm_engine.timeline import Timeline
from fsm_engine.timeline.recorder import Recorder

PACKAGE = str(Path(fsm_engine.__file__).parent)
DATA = [1, 2]


class Stop(BaseException):
    """Raised at one place in the library, as Ctrl-C raises KeyboardInterrupt."""


@contextmanager
def fault_at(place: int, kind: str) -> Iterator[list[int]]:
    """Raise `Stop` at event number `place` inside the library; the list has the number of events.

    Args:
        place: the number of the event, from 1 on; 0 for no exception.
        kind: "line" or "opcode".
    """
    count = [0]

    def on_event(frame: FrameType, event: str, _arg: Any) -> Any:
        if event == kind:
            count[0] += 1
            if count[0] == place:
                raise Stop(f"{frame.f_code.co_filename}:{frame.f_lineno}")
        return on_event

    def on_call(frame: FrameType, _event: str, _arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith((PACKAGE, "<fsm_engine")):
            return None
        frame.f_trace_opcodes = kind == "opcode"
        return on_event

    sys._getframe().f_trace_opcodes = kind == "opcode"  # Python 3.12 looks for it when tracing begins, and only then
    sys.settrace(on_call)
    try:
        yield count
    finally:
        sys.settrace(None)


class Recovery(EventEnum):
    RETRY = "retry"
    PART = "part"


class Program:
    """An engine with a log of its handlers, and one way to run it."""

    def __init__(self, prepare: Callable[[Program], None] = lambda program: None, **arguments: Any) -> None:
        self.log: list[str] = []
        self.inner = Engine(self.step)
        self.recorder: Any = None
        self.checkpoint: Any = None
        self.pages: Pages | None = None
        self.folder: tempfile.TemporaryDirectory[str] | None = None
        self.arguments = {"max_epochs": 2, **arguments}
        self.engine = Engine(self.step)
        for event in Events:
            self.engine.add_event_handler(event, self.note, event.name)
        prepare(self)

    def step(self, _engine: Engine, batch: int) -> int:
        return batch

    def note(self, *given: Any) -> None:
        self.log.append(given[-1])

    def late(self) -> None:
        self.log.append("late")

    def run(self) -> None:
        self.engine.run(DATA, **self.arguments)

    def run_again(self) -> list[str]:
        """Return the events of a fresh run."""
        self.log.clear()
        self.engine.state.max_epochs = self.engine.state.max_iters = None
        self.engine.run(DATA, max_epochs=2)
        return self.log


class RecordingBegins(Program):
    """Begins to record an engine, without running it."""

    def run(self) -> None:
        self.recorder = self.engine.record()


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


def with_callback_events(program: Program) -> None:
    def fire(engine: Engine, batch: int) -> int:
        engine.fire_event("mine")
        return batch

    def attach(engine: Engine) -> None:
        if program.late not in engine.handlers("mine"):
            engine.add_event_handler("mine", program.late)

    program.engine._process_function = fire
    program.engine.register_events("mine")
    program.engine.add_event_handler("mine", program.note, "mine")
    program.engine.add_event_handler(Events.EPOCH_STARTED(once=2), attach)


def recorded(program: Program) -> None:
    program.recorder = program.engine.record()


class Pages:
    """Continues each pause at once, as a page would, and counts the pauses."""

    is_alive = True

    def __init__(self) -> None:
        self.pauses = 0
        from fsm_engine.inspector.control import Control  # needs torch, like the imports below

        self.control = Control(self)

    def new_id(self) -> int:
        return len(self.control.engines)

    def new_breakpoint(self) -> int:
        return 1

    def new_heading(self, name: str) -> str:
        return name

    def publish(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "look":
            self.pauses += 1
            self.send("continue")

    def send(self, command: str, **message: Any) -> None:
        from fsm_engine.inspector.control import Command

        self.control.submit(Command({"command": command, **message}, lambda is_done, text: None))


def inspected(program: Program) -> None:
    from fsm_engine.inspector.offers import Offer

    program.pages = pages = Pages()
    program.recorder = Recorder(program.engine, Timeline(1000), handlers=True, gate=pages.control).start()
    pages.control.offers["value"] = Offer("value", lambda: 1.0, lambda value: None)
    pages.send("break", event="Events.ITERATION_COMPLETED")


def with_inner_engine(program: Program) -> None:
    program.recorder = program.engine.record()
    program.engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: program.inner.run(DATA))


def with_checkpoint(program: Program) -> None:
    from fsm_engine.handlers import Checkpoint

    program.folder = tempfile.TemporaryDirectory()
    program.checkpoint = Checkpoint({"engine": program.engine}, program.folder.name, n_saved=1)
    program.engine.add_event_handler(Events.ITERATION_COMPLETED, program.checkpoint)


def with_phases(program: Program) -> None:
    def step(engine: Engine, batch: int) -> int:
        engine.fire_event(Recovery.PART)
        return batch

    program.engine._process_function = step
    program.engine.lifecycle.add_path(
        Events.ITERATION_STARTED >> Recovery.PART >> Events.ITERATION_COMPLETED, required=True
    )
    program.engine.add_event_handler(Recovery.PART, program.note, "part")


PROGRAMS: dict[str, Callable[[], Program]] = {
    "plain": Program,
    "observed": lambda: Program(observed),
    "edges": lambda: Program(with_edges),
    "recovery": lambda: Program(with_recovery),
    "changes": lambda: Program(with_changes),
    "callbacks": lambda: Program(with_callback_events),
    "phases": lambda: Program(with_phases),
    "recording": lambda: Program(recorded),
    "recording begins": RecordingBegins,
    "inspected": lambda: Program(inspected),
    "nested": lambda: Program(with_inner_engine),
    "checkpoint": lambda: Program(with_checkpoint),
    "breakpoint": lambda: Program(until=Events.ITERATION_COMPLETED(once=3)),
    "transitions": lambda: Program(driver="transitions"),
}


def count_places(make: Callable[[], Program], kind: str) -> int:
    """Return the number of lines or instructions of the library that a run of the program executes."""
    make().run()  # compiles the functions, which later runs find in the caches
    program = make()
    with fault_at(0, kind) as count:
        program.run()
    return count[0]


def stopped_at(make: Callable[[], Program], place: int, kind: str) -> tuple[Program, Stop | None]:
    """Return a program whose run was stopped at one place, and the exception.

    The exception keeps the frames of the run, as ``sys.last_traceback`` does in an interactive session.
    """
    program = make()
    with fault_at(place, kind):
        try:
            program.run()
        except Stop as stop:
            return program, stop
    return program, None


def check(program: Program, expected: list[str]) -> None:
    """Raise AssertionError unless the engine runs again and calls the attached handlers and no others."""
    engine = program.engine
    assert not engine.is_running
    assert not program.inner.is_running
    if program.pages is not None:
        check_pauses(program.pages, program)
    if program.recorder is not None:
        program.recorder.remove()
    assert (engine._wrappers, engine._recorder, program.inner._recorder) == ((), None, None)
    was_attached = program.late in engine.handlers()
    log = program.run_again()
    assert [name for name in log if name != "late"] == [name for name in expected if name != "late"]
    assert log.count("late") == expected.count("late") * (2 if was_attached else 1)
    assert engine.outcome is Outcome.COMPLETED
    assert _interrupt not in engine.handlers()
    assert run_ends._active.claims == recording._active.recorders == []
    program.inner.run(DATA)
    if program.checkpoint is not None:
        assert program.checkpoint.resume()
        assert engine.state.iteration == 4


def check_pauses(pages: Pages, program: Program) -> None:
    """Raise AssertionError unless nothing is paused, and the breakpoint pauses another run at each iteration."""
    pages.pauses = 0
    program.run_again()
    assert pages.pauses == 2 * len(DATA)
    assert pages.control.pause is None
    assert not pauses._since


def broken_engines(make: Callable[[], Program], places: Iterable[int], kind: str) -> Iterator[str]:
    """Yield a line for each engine that does not work after its run was stopped, with the place and the problem."""
    expected = make().run_again()
    for place in places:
        program, stop = stopped_at(make, place, kind)
        try:
            check(program, expected)
        except (Exception, Stop) as error:
            trace = error.__traceback__
            yield f"{place} {stop}: {type(error).__name__}: {error}, at {trace.tb_lineno if trace else None}"
        finally:
            if program.folder is not None:
                program.folder.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("--every", type=int, default=1, help="stop at every n-th place")
    parser.add_argument("--sample", type=int, help="stop at this many random places")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random places")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--lines", action="store_const", const="line", dest="kind", default="line", help="the default")
    kinds.add_argument("--opcodes", action="store_const", const="opcode", dest="kind", help="stop at instructions")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    kind, make = arguments.kind, PROGRAMS[arguments.program]
    places: Sequence[int] = range(1, count_places(make, kind) + 1, arguments.every)
    if arguments.sample is not None:
        places = sorted(random.Random(arguments.seed).sample(places, min(arguments.sample, len(places))))
    print(len(places))
    for line in broken_engines(make, places, kind):
        print(line)


if __name__ == "__main__":
    main()
