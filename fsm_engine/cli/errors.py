"""Errors of commands: one line on standard error with the problem, its place and the fix, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text

NEGATIVE, FAILED, BROKEN_PIPE = 1, 2, 141
"""Exit codes: the answer of a command is negative, it failed, the reader of its output closed the pipe."""


class CommandError(Exception):
    """A command cannot do its work. The message is shown to the user."""


@contextmanager
def reported_errors(show_traceback: bool) -> Iterator[None]:
    """Print an exception of the block to standard error, as one line or as a traceback, and set the exit code.

    Raises:
        typer.Exit: in place of the exception. Exceptions of typer pass through, because typer prints them itself.
    """
    try:
        yield
    except BrokenPipeError:
        _discard_output()
        raise typer.Exit(BROKEN_PIPE) from None
    except Exception as error:
        if hasattr(error, "exit_code"):
            raise
        if show_traceback:
            traceback.print_exception(error.__cause__ or error)
        else:
            line = Text.assemble(("error: ", "bold red"), message_of(error))
            Console(stderr=True, soft_wrap=True).print(line)
        raise typer.Exit(FAILED) from None


def message_of(error: Exception) -> str:
    """Return the message for the user in one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, (CommandError, OSError, ValueError, ImportError)):
        return _one_line(str(error))
    return f"{with_type(error)} (a bug in fsm-engine; fsm-engine --traceback ... shows where)"


def with_type(error: BaseException) -> str:
    """Return the type and the message of an exception in one line."""
    return _one_line(f"{type(error).__name__}: {error}".removesuffix(": "))


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))


def _discard_output() -> None:
    """Redirect standard output to the null device, so that Python's last flush does not raise again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
