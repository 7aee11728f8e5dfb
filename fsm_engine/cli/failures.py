"""How a command fails: one line on standard error that says what, where and the fix, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text

TROUBLE, BROKEN_PIPE = 2, 141


class Trouble(Exception):  # noqa: N818  # as in the manual of diff
    """What a command cannot do, as a sentence for its user."""


@contextmanager
def told(show_traceback: bool) -> Iterator[None]:
    """Turn what is raised inside into a line on standard error and an exit code.

    Raises:
        typer.Exit: instead of any error but typer's own, which tell themselves.
    """
    try:
        yield
    except BrokenPipeError:
        _be_quiet()
        raise typer.Exit(BROKEN_PIPE) from None
    except Exception as error:
        if hasattr(error, "exit_code"):
            raise
        if show_traceback:
            traceback.print_exception(error.__cause__ or error)
        else:
            line = Text.assemble(("error: ", "bold red"), sentence(error))
            Console(stderr=True, soft_wrap=True).print(line)
        raise typer.Exit(TROUBLE) from None


def sentence(error: Exception) -> str:
    """Return what is said about `error`, in one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, (Trouble, OSError, ValueError, ImportError)):
        return in_one_line(str(error))
    return f"{named(error)} (this should not happen; --traceback before the command shows where it did)"


def named(error: BaseException) -> str:
    """Return the kind of an error and its message, in one line."""
    return in_one_line(f"{type(error).__name__}: {error}".removesuffix(": "))


def in_one_line(text: str) -> str:
    """Return `text` with blanks in place of line breaks."""
    return " ".join(text.split("\n"))


def _be_quiet() -> None:
    """Send what is still to be written nowhere: nobody reads it, and Python would complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
