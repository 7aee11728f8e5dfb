"""The commands `fsm-engine timeline ...`: what a recorded run was spent on, and what it is held against."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fsm_engine.cli import output
from fsm_engine.cli.examples import epilog
from fsm_engine.cli.failures import Trouble
from fsm_engine.cli.targets import find
from fsm_engine.render.timeline import FORMATS
from fsm_engine.timeline import Timeline
from fsm_engine.timeline.export import SUFFIXES

NO = 1


class FileFirst(TyperGroup):
    """Commands of which `draw` is meant where a file stands instead of a command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments."""
        if args and args[0] not in self.commands and Path(args[0]).suffix and not args[0].startswith("-"):
            args = ["draw", *args]
        return super().parse_args(ctx, args)


commands = typer.Typer(cls=FileFirst, no_args_is_help=True, rich_markup_mode="rich")
Recorded = Annotated[Path, typer.Argument(metavar="RUN", help="A file that Timeline.save wrote, such as run.fsmt.")]


@commands.callback(epilog=epilog("timeline", "timeline summary", "timeline verify", "timeline diff"))
def timeline() -> None:
    """Look at a recorded run: where its time went, whether its lifecycle allows it, where two runs part."""


@commands.command(epilog=epilog("timeline summary"))
def summary(run: Recorded) -> None:
    """Say what the time of a run was spent on, per phase, transition and handler."""
    print(str(Timeline.load(run).summary()))


@commands.command(epilog=epilog("timeline verify"))
def verify(
    run: Recorded,
    target: Annotated[
        str | None, typer.Argument(metavar="TARGET", help="A lifecycle, as of the other commands.", show_default=False)
    ] = None,
) -> None:
    """Replay a run in a machine that shares nothing with the engine, and say whether the lifecycle allows each move.

    Exit codes: 0 if it does, 1 if not, 2 for trouble.
    """
    misstep = _of_one(run).verify(find(target).lifecycle)
    if misstep is not None:
        print(str(misstep))
        raise typer.Exit(NO)


@commands.command(epilog=epilog("timeline diff"))
def diff(a: Recorded, b: Recorded) -> None:
    """Say in which step two runs part, and what each did there; times do not count.

    Exit codes, as those of diff: 0 if they do not, 1 if they do, 2 for trouble.
    """
    parting = _of_one(a).diff(_of_one(b))
    if parting is not None:
        print(str(parting))
        raise typer.Exit(NO)


@commands.command(epilog=epilog("timeline draw"))
def draw(
    run: Recorded,
    files: Annotated[
        list[Path],
        typer.Option(
            "--output", "-o", help="A file to write, in the format of its suffix. May be given several times."
        ),
    ],
) -> None:
    """Draw a run: .svg, .png, .pdf, or .html, a page to zoom into; for Perfetto: .json, .json.gz, .perfetto, .pftrace.

    It is what is done with a file if no command is named: fsm-engine timeline run.fsmt -o run.html
    """
    recorded = Timeline.load(run)
    for path in files:  # all of them before the first is written
        _check_suffix(path)
    for path in files:
        written = recorded.draw(path) if path.suffix[1:] in FORMATS else recorded.export(path)
        output.note(f"Wrote {written}")


def _check_suffix(path: Path) -> None:
    endings = [*(f".{name}" for name in FORMATS), *SUFFIXES]
    if not path.name.lower().endswith(tuple(endings)):
        raise Trouble(f"what {path.name} is to hold cannot be told from its name. End it in {', '.join(endings)}.")


def _of_one(run: Path) -> Timeline:
    """Return the timeline in a file; its first track is the one that is asked about.

    Raises:
        Trouble: nothing was recorded.
    """
    recorded = Timeline.load(run)
    if not recorded.tracks:
        raise Trouble(f"{run} has no track: nothing was recorded.")
    return recorded
