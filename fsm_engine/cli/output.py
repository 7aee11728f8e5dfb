"""The output of commands: plain text in a pipe, colours and columns of the right width on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.highlighter import RegexHighlighter
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from fsm_engine.cli.errors import CommandError
from fsm_engine.lifecycle.diff import Difference
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.lifecycle.table import to_rows
from fsm_engine.lifecycle.validation import Finding

if TYPE_CHECKING:
    from fsm_engine.compat.ignite.migration import Migration


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError again, where rich would exit the process."""
        raise  # rich calls this method in its except clause


class _Exits(RegexHighlighter):
    base_style = "exit."
    highlights = (  # with the styles of _STYLES
        r"(?m)(?P<guard>^\[.*?\])",
        r"(?P<kind>\b(signal|fired|error)\b)",
        r"-> (?!the last phase)(?P<target>\w+)",
        r"(?m)(?P<action> / .*$)",
    )


_STYLES = Theme({"exit.guard": "yellow", "exit.kind": "magenta", "exit.target": "bold cyan", "exit.action": "dim"})


_COLOURS = {"+": "green", "-": "red", "~": "yellow"}


def _standard_output() -> Console:
    return _Terminal(theme=_STYLES, highlight=False)


def write_migration(file: Path, migration: Migration) -> None:
    """Print the changed lines of a file, and the lines that need a human."""
    console = _standard_output()
    for change in migration.changes:
        line = Text.assemble((f"{file}:{change.line}: ", "dim"), change.before, (" -> ", "dim"), change.after)
        console.print(line, soft_wrap=True)
    for note in migration.notes:
        row = f" (docs/differences.md: {note.row})" if note.row else ""
        line = Text.assemble((f"{file}:{note.line}: ", "dim"), ("check: ", "yellow"), f"{note.reason}{row}")
        console.print(line, soft_wrap=True)


def write_lifecycle(lifecycle: Lifecycle) -> None:
    """Print the table of phases and exits."""
    console = _standard_output()
    if not console.is_terminal:
        print(str(lifecycle))
        return
    table = Table("phase", "exits", box=SIMPLE_HEAD, pad_edge=False)
    for phase, exits in _rows(lifecycle):
        table.add_row(phase, exits)
    console.print(table)


def _rows(lifecycle: Lifecycle) -> Iterator[tuple[Text, Text]]:
    """Yield a row for each phase, and each scope with exits: its name and actions, and its exits line by line."""
    rows = to_rows(lifecycle.graph)
    starts = [number for number, row in enumerate(rows) if row[0]]
    for start, end in zip(starts, [*starts[1:], len(rows)]):
        name, scope, entry, activity, _ = rows[start]
        notes = (scope and f"in {scope}", entry and f"on entry: {entry}", activity and f"then: {activity}")
        phase = Text.assemble((name, "bold"), *((f"\n  {note}", "dim") for note in notes if note))
        yield phase, _highlight("\n".join(row[-1] for row in rows[start:end]))


_highlight = _Exits()


def write_source(source: str) -> None:
    """Print Python source, highlighted on a terminal."""
    console = _standard_output()
    if console.is_terminal:
        console.print(Syntax(source, "python", theme="ansi_dark", background_color="default"), soft_wrap=True)
    else:
        sys.stdout.write(source)


def write_findings(target: str, findings: Sequence[Finding]) -> None:
    """Print a line for each finding, and its fix below it."""
    console = _standard_output()
    for finding in findings:
        kind = ("error", "bold red") if finding.is_error else ("warning", "bold yellow")
        line = Text.assemble(kind, " ", (finding.code, "bold"), f": {finding.message}\n  {finding.fix}")
        console.print(line, soft_wrap=True)
    if not findings:
        console.print(Text(f"{target}: no problems found"), soft_wrap=True)


def write_difference(difference: Difference) -> None:
    """Print a line for each phase and transition that differs."""
    console = _standard_output()
    for line in str(difference).splitlines():
        console.print(Text(line, _COLOURS[line[0]]), soft_wrap=True)


def write_bytes(content: bytes, format: str) -> None:  # noqa: A002
    """Write the content of a file to standard output.

    Raises:
        CommandError: the content is binary, and standard output is a terminal.
    """
    if sys.stdout.isatty() and not _is_text(content):
        raise CommandError(f"{format} is a binary format, which a terminal cannot show. Add -o lifecycle.{format}.")
    typer.echo(content, nl=False)


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def flush() -> None:
    """Flush standard output, so that a closed pipe raises here and not when the process exits."""
    sys.stdout.flush()
