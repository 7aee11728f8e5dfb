"""The commands of ``fsm-engine`` and their options."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from fsm_engine._util.version import __version__
from fsm_engine.cli import output, running, timelines
from fsm_engine.cli.completions import completions
from fsm_engine.cli.errors import NEGATIVE, reported_errors
from fsm_engine.cli.examples import EXAMPLES, epilog
from fsm_engine.cli.targets import Target, find, find_phase, recorded_target
from fsm_engine.engine.engine import Engine
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.render import FORMATS, THEMES, render
from fsm_engine.render.difference import draw_difference
from fsm_engine.serialization.files import READERS
from fsm_engine.timeline import Timeline


class Commands(TyperGroup):
    """A group of commands that reports errors in one line."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with reported_errors(ctx.params["traceback"]):
            try:
                return super().invoke(ctx)
            finally:
                output.flush()


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(timelines.commands, name="timeline")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"fsm-engine {__version__}")
        raise typer.Exit


def _phases(incomplete: str) -> list[str]:
    return completions(incomplete, (phase.name for phase in Lifecycle.training().phases))


TARGET = (
    "module:name or path/to/file.py:name of an engine, a lifecycle, or a function without required arguments that "
    f"returns one; or a file: {', '.join(READERS)}. Default: [bold]training[/bold], the standard lifecycle."
)
TargetArgument = Annotated[str | None, typer.Argument(metavar="TARGET", help=TARGET, show_default=False)]
Files = Annotated[
    list[Path] | None,
    typer.Option("--output", "-o", help="File to write; its suffix sets the format. Can be repeated."),
]
Detail = Annotated[
    str,
    typer.Option(
        help="all, or main to leave out signals, errors and rare edges.", autocompletion=lambda: ["all", "main"]
    ),
]
Direction = Annotated[
    str, typer.Option(help="Direction of the main path: down or right.", autocompletion=lambda: ["down", "right"])
]
ThemeName = Annotated[
    str,
    typer.Option(help=f"Colours: {', '.join(THEMES)}.", autocompletion=lambda: list(THEMES)),
]


InspectOption = Annotated[
    bool, typer.Option("--inspect", help="Show the run in the browser, at the printed address, and steer it there.")
]
OpenOption = Annotated[bool, typer.Option("--open", help="Inspect, and open the page in the browser.")]


@app.callback(epilog=epilog(*EXAMPLES, each=1))
def commands(
    traceback: Annotated[  # read by `Commands`
        bool, typer.Option("--traceback", envvar="FSM_ENGINE_TRACEBACK", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[  # handled by its callback
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Draw, show, check and compare training lifecycles, which are state machines. Train, and read recorded runs.

    Exit codes: 0 for success, 1 for a negative answer, 2 for an error.
    """


@app.command(epilog=epilog("draw"))
def draw(
    target: TargetArgument = None,
    files: Files = None,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option(
            help="Format to use instead of the suffix's. Without -o: mmd, to standard output.",
            autocompletion=lambda: list(FORMATS),
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title above the picture.")] = None,
    direction: Direction = "down",
    detail: Detail = "all",
    theme: ThemeName = "auto",
    guards: Annotated[bool, typer.Option("--guards", help="Show guards, actions and activities.")] = False,
    handlers: Annotated[bool, typer.Option("--handlers", help="List the handlers of each phase.")] = False,
    timeline: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Recorded run, such as run.fsmt; show its visits and times."),
    ] = None,
) -> None:
    """Draw a lifecycle to files, or as text to standard output. With a recorded run and no TARGET, draw its own."""
    recorded = None if timeline is None else Timeline.load(timeline)
    found = find(target) if target is not None or recorded is None else recorded_target(recorded)
    options: dict[str, Any] = {
        "title": title,
        "direction": direction,
        "detail": detail,
        "theme": theme,
        "guards": guards,
        "handlers": handlers,
        "timeline": recorded,
    }
    for path in files or ():
        typer.echo(f"Wrote {found.lifecycle.draw(path, format, **options)}", err=True)
    if not files:
        output.write_bytes(render(found.lifecycle, format or "mmd", **options), format or "mmd")


@app.command(epilog=epilog("show"))
def show(
    target: TargetArgument = None,
    source: Annotated[bool, typer.Option("--source", help="Show the Python function that runs it instead.")] = False,
) -> None:
    """Show a lifecycle as a table of phases, their actions, and their exits in the order in which they are tried."""
    found = find(target)
    if source:
        output.write_source((found.engine or Engine(lifecycle=found.lifecycle)).source)
    else:
        output.write_lifecycle(found.lifecycle)


@app.command(epilog=epilog("check"))
def check(
    target: TargetArgument = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings, too.")] = False,
    format: Annotated[Literal["text", "json"], typer.Option(help="Format of the findings.")] = "text",  # noqa: A002
) -> None:
    """Check a lifecycle, and print the rule, the problem and the fix for each finding.

    Exit codes: 0 for no errors, 1 for errors (with --strict also for warnings), 2 if the check fails.
    """
    found = find(target)
    findings = found.check()
    if format == "json":
        print(json.dumps({"target": found.text, "findings": [asdict(f) for f in findings]}, indent=2))
    else:
        output.write_findings(found.text, findings)
    if any(strict or finding.is_error for finding in findings):
        raise typer.Exit(NEGATIVE)


@app.command(epilog=epilog("paths"))
def paths(
    start: Annotated[str, typer.Argument(metavar="FROM", help="First phase, in any case.", autocompletion=_phases)],
    end: Annotated[str, typer.Argument(metavar="TO", help="Last phase.", autocompletion=_phases)],
    target: TargetArgument = None,
    shortest: Annotated[bool, typer.Option("--shortest", help="Only the shortest paths.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of transitions in a path.")] = None,
) -> None:
    """List the paths from one phase to another that visit no phase twice, one per line.

    Exit codes: 0 if there is a path, 1 if there is none, 2 for an error.
    """
    lifecycle = find(target).lifecycle
    ends = [find_phase(lifecycle, name) for name in (start, end)]
    found = lifecycle.paths(*ends, shortest=shortest, limit=limit)
    first = next(found, None)
    if first is None:
        typer.echo(f"No path leads from {ends[0]} to {ends[1]}.", err=True)
        raise typer.Exit(NEGATIVE)
    for path in chain([first], found):
        print(str(path))


@app.command(epilog=epilog("diff"))
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="First target, as for the other commands.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Second target.")],
    files: Files = None,
    direction: Direction = "down",
    theme: ThemeName = "auto",
) -> None:
    """List the parts that lifecycle B adds to A (+), removes (-) and changes (~).

    Functions are compared by name, so a lifecycle equals the file that was written from it.

    Exit codes, as for diff: 0 if the lifecycles are equal, 1 if they differ, 2 for an error.
    """
    before, after = (_by_name(find(text)) for text in (a, b))
    difference = before.diff(after)
    for path in files or ():
        written = draw_difference(before, after, path, title=f"{a} -> {b}", direction=direction, theme=theme)
        typer.echo(f"Wrote {written}", err=True)
    if difference:
        output.write_difference(difference)
        raise typer.Exit(NEGATIVE)


def _by_name(target: Target) -> Lifecycle:
    """Return the lifecycle as read from a file, with functions and events that are equal if their names are."""
    return Lifecycle.from_dict(target.lifecycle.to_dict())


@app.command(name="migrate", epilog=epilog("migrate"))
def migrate_command(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Program, notebook, or folder of programs.")],
    write: Annotated[
        bool, typer.Option("--write", help="Change the files; without it, only list the changes.")
    ] = False,
) -> None:
    """Change the imports of pytorch-ignite to fsm_engine, and list the lines that need a human.

    A line that may act differently is listed with the row of docs/differences.md that explains it.

    Exit codes: 0 if no line needs a human, 1 if one does, 2 for an error.
    """
    from fsm_engine.compat.ignite.migrated_files import migrate_files

    notes = 0
    for file, migration in migrate_files(path, write):
        output.write_migration(file, migration)
        notes += len(migration.notes)
    if notes:
        raise typer.Exit(NEGATIVE)


@app.command(name="run", epilog=epilog("run"))
def run_command(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A script, such as train.py; or module:name or path/to/file.py:name of an engine, or of a function "
            "without required arguments that trains or returns an engine.",
            show_default=False,
        ),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- ARGUMENT...]", help="Arguments of the program.", show_default=False),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Data of the engine: train.py:loader, or a function that returns it."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Number of epochs of the engine.")] = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Record every engine that runs, and write this file, such as run.fsmt."),
    ] = None,
    inspect: InspectOption = False,
    open_page: OpenOption = False,
) -> None:
    """Train: run a script, an engine, or a function. The recording is also written if the program fails.

    The first Ctrl-C suspends the active run at the next safe place and ends the program; the second ends it at once.

    Exit codes: 0 for success, or the exit code of the program; 1 if it raises an exception, whose traceback is printed;
    2 for an error of the command; 130 for Ctrl-C.
    """
    code = running.run(target, data, epochs, record, inspect or open_page, open_page, arguments or [])
    if code:
        raise typer.Exit(code)


@app.command(epilog=epilog("watch"))
def watch(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="Address that inspect() logged: http://HOST:PORT/TOKEN/.")
    ],
    once: Annotated[
        bool, typer.Option("--once", help="Print one snapshot and exit; for scripts, and without a terminal.")
    ] = False,
) -> None:
    r"""Show an inspected run in the terminal, and pause, step and steer it with keys; ? lists them.

    For a run on another machine, call this there, or forward the port: ssh -L PORT:127.0.0.1:PORT MACHINE.

    Requires websockets: [cyan]pip install "fsm-engine\[cli,inspector]"[/cyan].
    """
    from fsm_engine.cli.watch import program

    program.watch(address, once)


@app.command(epilog=epilog("demo"))
def demo(
    epochs: Annotated[int, typer.Option(min=1, help="Number of epochs.")] = 20,
    out: Annotated[Path, typer.Option(help="Folder for the pictures; created if missing.", file_okay=False)] = Path(
        "fsm_engine_demo"
    ),
    inspect: InspectOption = False,
    open_page: OpenOption = False,
) -> None:
    r"""Train a small network on handwritten digits with handlers on the phases of the step, and draw its lifecycle.

    Requires torch and scikit-learn: [cyan]pip install "fsm-engine\[examples]"[/cyan].
    """
    from fsm_engine.cli.demo import run

    with ExitStack() as stack:
        if inspect or open_page:
            from fsm_engine.cli.inspection import inspected_program

            stack.enter_context(inspected_program(open_page))
        run(epochs, out)
