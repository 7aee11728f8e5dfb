"""The commands of `fsm-engine`, and their options."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fsm_engine._util.version import __version__
from fsm_engine.cli import output, targets, timelines
from fsm_engine.cli.examples import EXAMPLES, epilog
from fsm_engine.cli.failures import told
from fsm_engine.cli.names import completed, phase_named
from fsm_engine.cli.targets import find
from fsm_engine.engine.engine import Engine
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.render import FORMATS, THEMES, render
from fsm_engine.render.difference import draw_difference
from fsm_engine.timeline import Timeline

NO = 1
"""The exit code of an answer that is no."""


class Commands(TyperGroup):
    """Commands whose errors are told in one line."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with told(ctx.params["traceback"]):
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


class Report(str, Enum):
    """How findings are written."""

    TEXT = "text"
    JSON = "json"


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fsm-engine {__version__}")
        raise typer.Exit


def _formats() -> list[str]:
    return list(FORMATS)


def _themes() -> list[str]:
    return list(THEMES)


def _directions() -> list[str]:
    return ["down", "right"]


def _phases(incomplete: str) -> list[str]:
    return completed(incomplete, (phase.name for phase in Lifecycle.training().phases))


TARGET = (
    "module:name or path/to/file.py:name of an engine, a lifecycle, or a function without arguments that returns "
    "one; a .json, .scxml or .graphml file; by default [bold]training[/bold], the standard lifecycle."
)
Target = Annotated[str | None, typer.Argument(metavar="TARGET", help=TARGET, show_default=False)]
Files = Annotated[
    list[Path] | None,
    typer.Option("--output", "-o", help="A file to write, in the format of its suffix. May be given several times."),
]

Direction = Annotated[str, typer.Option(help="Of the main path: down or right.", autocompletion=_directions)]
Colours = Annotated[str, typer.Option(help=f"The colours: {', '.join(THEMES)}.", autocompletion=_themes)]


@app.callback(epilog=epilog(*EXAMPLES, each=1))
def commands(
    traceback: Annotated[  # `Commands` looks at it
        bool, typer.Option("--traceback", envvar="FSM_ENGINE_TRACEBACK", help="Show where an error comes from.")
    ] = False,
    version: Annotated[  # its callback has done it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version, and exit.")
    ] = False,
) -> None:
    """See training as the finite state machine that it is: draw its lifecycle, check it, ask it, compare it.

    Exit codes: 0 for success, 1 for an answer that is no, 2 for trouble.
    """


@app.command(epilog=epilog("draw"))
def draw(
    target: Target = None,
    files: Files = None,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option(
            help="Instead of that of the suffix. Without -o: mmd, to standard output.", autocompletion=_formats
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Written above the picture.")] = None,
    direction: Direction = "down",
    theme: Colours = "auto",
    guards: Annotated[bool, typer.Option("--guards", help="Write out guards, actions and activities.")] = False,
    handlers: Annotated[bool, typer.Option("--handlers", help="List the handlers of each phase.")] = False,
    timeline: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="A recorded run, such as run.fsmt, whose visits and times to show."),
    ] = None,
) -> None:
    """Draw a lifecycle: to files, or as text to standard output."""
    found = find(target)  # which keeps the engine, whose handlers are drawn
    options: dict[str, Any] = {
        "title": title,
        "direction": direction,
        "theme": theme,
        "guards": guards,
        "handlers": handlers,
        "timeline": timeline and Timeline.load(timeline),
    }
    for path in files or ():
        output.note(f"Wrote {found.lifecycle.draw(path, format, **options)}")
    if not files:
        output.write_bytes(render(found.lifecycle, format or "mmd", **options), format or "mmd")


@app.command(epilog=epilog("show"))
def show(
    target: Target = None,
    source: Annotated[bool, typer.Option("--source", help="The Python function that runs it, instead.")] = False,
) -> None:
    """Show a lifecycle as a table: phases, what they do, and their exits in the order in which they are tried."""
    found = find(target)
    if source:
        output.write_source((found.engine or Engine(lifecycle=found.lifecycle)).source)
    else:
        output.write_lifecycle(found.lifecycle)


@app.command(epilog=epilog("check"))
def check(
    target: Target = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail for warnings, too.")] = False,
    format: Annotated[Report, typer.Option(help="How findings are written.")] = Report.TEXT,  # noqa: A002
) -> None:
    """Say what is wrong with a lifecycle: a rule, a sentence and a fix for each finding.

    Exit codes: 0 for nothing, 1 for errors (with --strict also for warnings), 2 for trouble.
    """
    found = find(target)
    findings = found.check()
    if format is Report.JSON:
        print(json.dumps({"target": found.text, "findings": [asdict(f) for f in findings]}, indent=2))
    else:
        output.write_findings(found.text, findings)
    if any(strict or finding.is_error for finding in findings):
        raise typer.Exit(NO)


@app.command(epilog=epilog("paths"))
def paths(
    start: Annotated[str, typer.Argument(metavar="FROM", help="A phase, in any case.", autocompletion=_phases)],
    end: Annotated[str, typer.Argument(metavar="TO", help="Another, or the same.", autocompletion=_phases)],
    target: Target = None,
    shortest: Annotated[bool, typer.Option("--shortest", help="Only the shortest ones.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many moves.")] = None,
) -> None:
    """List the ways from one phase to another that come to no phase twice, one per line.

    Exit codes: 0 if there are any, 1 if not, 2 for trouble.
    """
    lifecycle = find(target).lifecycle
    ends = [phase_named(lifecycle, name) for name in (start, end)]
    found = lifecycle.paths(*ends, shortest=shortest, limit=limit)
    first = next(found, None)
    if first is None:
        raise typer.Exit(NO)
    for path in chain([first], found):
        print(str(path))


@app.command(epilog=epilog("diff"))
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A target, as of the other commands.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    files: Files = None,
    direction: Direction = "down",
    theme: Colours = "auto",
) -> None:
    """Say how the lifecycle B differs from A: what it has added (+), removed (-) and changed (~).

    Functions are compared by name, so a file and the code that it was written by are the same.

    Exit codes, as those of diff: 0 if they are the same, 1 if they differ, 2 for trouble.
    """
    before, after = (_by_name(find(text)) for text in (a, b))
    difference = before.diff(after)
    for path in files or ():
        wrote = draw_difference(before, after, path, title=f"{a} -> {b}", direction=direction, theme=theme)
        output.note(f"Wrote {wrote}")
    if difference:
        output.write_difference(difference)
        raise typer.Exit(NO)


def _by_name(found: targets.Target) -> Lifecycle:
    """Return the lifecycle as a file has it: events and functions of two modules are the same by their names."""
    return Lifecycle.from_dict(found.lifecycle.to_dict())


@app.command(epilog=epilog("demo"))
def demo(
    epochs: Annotated[int, typer.Option(min=1, help="How long to train.")] = 20,
    out: Annotated[Path, typer.Option(help="The folder for the pictures; it is made.", file_okay=False)] = Path(
        "fsm_engine_demo"
    ),
) -> None:
    r"""Train a small network on digits, through the phases of its step, and draw the lifecycle that it went through.

    Needs torch and scikit-learn: [cyan]pip install 'fsm-engine\[examples]'[/cyan].
    """
    from fsm_engine.cli.demo import run

    run(epochs, out)
