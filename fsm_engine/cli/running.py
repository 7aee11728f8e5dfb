"""The command ``run``: train with a script, an engine, or a function of the user."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from traceback import print_exception
from types import TracebackType
from typing import Any
from weakref import WeakSet

import typer

from fsm_engine._util.signatures import check_runs_when_called
from fsm_engine.cli.errors import NEGATIVE, CommandError
from fsm_engine.cli.interrupts import first_ctrl_c_suspends
from fsm_engine.cli.program_recording import recorded_program
from fsm_engine.cli.targets import check_needs_no_arguments, is_lifecycle_file, kind_of, known_names, look_up, split
from fsm_engine.cli.user_modules import check_is_file, check_is_module, import_path, is_file, load_module, user_code
from fsm_engine.engine import recording
from fsm_engine.engine.engine import Engine

INTERRUPTED = 130
_CALLERS = (str(Path(__file__).parent), runpy.__file__, "<frozen runpy>")


def run(
    target: str,
    data: str | None,
    epochs: int | None,
    record: Path | None,
    inspect: bool,
    open_page: bool,
    arguments: Sequence[str],
) -> int:
    """Run `target` as the program of this process.

    Args:
        target: a script, as a path or the name of a module; or ``place:name`` of an engine, or of a function without
            required arguments that trains or returns an engine.
        data: ``place:name`` of the data of the engine, or of a function without required arguments that returns it.
        epochs: the number of epochs of the engine.
        record: the file for the timeline of all engines that run.
        inspect: whether to inspect all engines that run.
        open_page: whether to open the page of the inspector.
        arguments: the arguments of the program, in ``sys.argv``.

    Returns:
        The exit code: 0; the code that the program exits with; 1 if it raises an exception, whose traceback is printed;
        130 after Ctrl-C.

    Raises:
        CommandError: the target or the data does not exist or is of another kind, or the engine cannot begin a run.
    """
    if is_lifecycle_file(target):
        raise CommandError(f"{target} is a lifecycle without functions. Name a script or an engine: train.py:trainer.")
    place, name = split(target)
    with ExitStack() as stack:
        if inspect:
            from fsm_engine.cli.inspection import inspected_program

            stack.enter_context(inspected_program(open_page))
        if record is not None:
            stack.enter_context(recorded_program(record))
        stack.enter_context(first_ctrl_c_suspends())
        stack.enter_context(import_path(place))
        stack.enter_context(_command_line([place, *arguments]))
        if name:
            return _exit_code(lambda: _Training(target, data, epochs, stack).run())
        if data is not None or epochs is not None:
            raise CommandError(f"--data and --epochs need an engine. Name it, such as {place}:trainer.")
        return _exit_code(_script(place))


@contextmanager
def _command_line(arguments: list[str]) -> Iterator[None]:
    """Give the program its arguments in ``sys.argv``."""
    before, sys.argv = sys.argv, arguments
    try:
        yield
    finally:
        sys.argv = before


def _script(place: str) -> Callable[[], object]:
    """Return a function that runs a script or a module as ``__main__``."""
    if is_file(place):
        check_is_file(Path(place))
        return lambda: runpy.run_path(place, run_name="__main__")
    check_is_module(place)
    return lambda: runpy.run_module(place, run_name="__main__", alter_sys=True)


class _Training:
    """The training by an engine, or by a function that trains or returns an engine."""

    def __init__(self, target: str, data: str | None, epochs: int | None, stack: ExitStack) -> None:
        self.target, self.data, self.epochs = target, data, epochs
        self._place, self._name = split(target)
        self._stack = stack
        self._have_run: WeakSet[Engine] = WeakSet()

    def run(self) -> None:
        """Train."""
        with recording.before_outermost_runs(self._have_run.add):
            module = load_module(self._place)
            found = look_up(module, self._place, self._name)
            if isinstance(found, Engine):
                engine = found
            elif callable(found):
                engine = self._call(found)
            else:
                raise CommandError(
                    f"{self.target} is {kind_of(found)}, but must be an engine, or a function that trains or returns "
                    f"one.{known_names(module, self._place)}"
                )
            if isinstance(engine, Engine) and engine not in self._have_run:
                self._run_engine(engine)
            elif self.data is not None or self.epochs is not None:
                typer.echo(f"{self.target} has trained by itself, so --data and --epochs had no effect.", err=True)

    def _call(self, function: Callable[[], Any]) -> Any:
        check_needs_no_arguments(function, self.target)
        try:
            check_runs_when_called(function, "the target")
        except TypeError as error:
            raise CommandError(str(error)) from None
        return function()

    def _run_engine(self, engine: Engine) -> None:
        data = None if self.data is None else _find_data(self.data, self._stack)
        try:
            engine.run(data, max_epochs=self.epochs)
        except Exception as error:
            if engine in self._have_run:
                raise
            hint = "" if self.data else f" Name the data, such as --data {self._place}:loader."
            raise CommandError(f"{self.target} cannot run: {error}{hint}") from error


def _find_data(text: str, stack: ExitStack) -> Any:
    """Return the data that ``place:name`` names, or that the function of this name returns.

    Raises:
        CommandError: there is no such name, or the function has required arguments or raised an exception.
    """
    place, name = split(text)
    if not name:
        raise CommandError(f"--data {text} has no name. Write it as for an engine, such as train.py:loader.")
    stack.enter_context(import_path(place))
    found = look_up(load_module(place), place, name)
    if hasattr(found, "__iter__") or not callable(found):
        return found
    check_needs_no_arguments(found, text)
    with user_code(text):
        return found()


def _exit_code(program: Callable[[], object]) -> int:
    """Run `program`, print the traceback of its exception as Python does, and return the exit code."""
    hook = sys.excepthook
    try:
        program()
    except CommandError:
        raise
    except SystemExit as error:
        return _code_of(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        error.__traceback__ = _without_callers(error.__traceback__)
        if sys.excepthook is hook:
            print_exception(error)  # where Python's hook would not show the lines of the generated function
        else:
            sys.excepthook(type(error), error, error.__traceback__)  # the program's own
        return NEGATIVE
    return 0


def _code_of(error: SystemExit) -> int:
    """Return the exit code for the argument of `sys.exit`; print an argument that is not a number."""
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    print(error.code, file=sys.stderr)
    return NEGATIVE


def _without_callers(traceback: TracebackType | None) -> TracebackType | None:
    """Return the traceback without the frames of this command and of `runpy` in front of the program's frames."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_CALLERS):
        traceback = traceback.tb_next
    return traceback
