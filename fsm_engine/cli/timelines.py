"""The commands ``fsm-engine timeline ...``: summarize, verify, compare, merge and draw recorded runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fsm_engine._util.choices import suffix_of
from fsm_engine.cli.errors import NEGATIVE, CommandError
from fsm_engine.cli.examples import epilog
from fsm_engine.cli.targets import find, recorded_target
from fsm_engine.render.timeline import FORMATS
from fsm_engine.timeline import Timeline
from fsm_engine.timeline.export import SUFFIXES


class FileFirst(TyperGroup):
    """A group of commands that runs `summary` if the first argument is a file, or `draw` if there is more."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, with ``summary`` or ``draw`` inserted if necessary."""
        if args and args[0] not in self.commands and Path(args[0]).suffix and not args[0].startswith("-"):
            args = ["draw" if len(args) > 1 else "summary", *args]
        return super().parse_args(ctx, args)


commands = typer.Typer(cls=FileFirst, no_args_is_help=True, rich_markup_mode="rich")
_DRAWN = [*(f".{name}" for name in FORMATS), *SUFFIXES]
Files = Annotated[
    list[Path], typer.Option("--output", "-o", help="File to write; its suffix sets the format. Can be repeated.")
]
Recorded = Annotated[Path, typer.Argument(metavar="RUN", help="File that Timeline.save wrote, such as run.fsmt.")]


@commands.callback(epilog=epilog("timeline", "timeline summary", "timeline verify", "timeline diff", "timeline merge"))
def timeline() -> None:
    """Summarize, verify, compare, merge and draw recorded runs."""


@commands.command(epilog=epilog("timeline summary"))
def summary(run: Recorded) -> None:
    """Print the time of a run per phase, transition and handler."""
    print(str(Timeline.load(run).summary()))


@commands.command(epilog=epilog("timeline verify"))
def verify(
    run: Recorded,
    target: Annotated[
        str | None, typer.Argument(metavar="TARGET", help="Lifecycle, as for the other commands.", show_default=False)
    ] = None,
) -> None:
    """Check that a lifecycle allows every transition of a run, with a state machine independent of the engine.

    Without TARGET, it is the lifecycle that the recording contains.

    Exit codes: 0 if it does, 1 if it does not, 2 for an error.
    """
    recorded = _load_tracks(run)
    found = recorded_target(recorded) if target is None else find(target)
    violation = recorded.verify(found.lifecycle)
    if violation is not None:
        print(str(violation))
        raise typer.Exit(NEGATIVE)
    typer.echo(f"{run}: the lifecycle of {found.text} allows every transition", err=True)


@commands.command(epilog=epilog("timeline diff"))
def diff(a: Recorded, b: Recorded) -> None:
    """Print the first step in which two runs differ, and the transition of each run there. Times are not compared.

    Exit codes, as for diff: 0 if the runs are equal, 1 if they differ, 2 for an error.
    """
    divergence = _load_tracks(a).diff(_load_tracks(b))
    if divergence is not None:
        print(str(divergence))
        raise typer.Exit(NEGATIVE)


@commands.command(epilog=epilog("timeline draw"))
def draw(
    run: Recorded,
    files: Files,
) -> None:
    """Draw a run as .svg, .png, .pdf, .html (a page with zoom), or for Perfetto .json, .json.gz, .perfetto, .pftrace.

    A file without a command is drawn, too: fsm-engine timeline run.fsmt -o run.html
    """
    _check_suffixes(files, _DRAWN)
    recorded = Timeline.load(run)
    for path in files:
        _write(recorded, path)


@commands.command(epilog=epilog("timeline replay"))
def replay(
    run: Recorded,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 for a free one.")] = 0,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Play a run over its lifecycle in the browser, at any speed, until Ctrl-C."""
    from fsm_engine.cli.inspection import replay

    replay(run, port, open_page)


@commands.command(epilog=epilog("timeline merge"))
def merge(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="File of each rank, such as rank0.fsmt.")],
    files: Files,
) -> None:
    """Merge the recordings of several ranks, with aligned clocks, and draw them, or write them as .fsmt.

    Ranks may be missing. How the clocks are aligned is printed to standard error.
    """
    _check_suffixes(files, [*_DRAWN, ".fsmt"])
    merged = Timeline.merge(runs)
    for note in merged.rank_notes:
        typer.echo(note, err=True)
    for path in files:
        _write(merged, path)


def _check_suffixes(files: list[Path], suffixes: list[str]) -> None:
    """Raise ValueError if a file has none of the suffixes, before any file is written."""
    for path in files:
        suffix_of(path, suffixes)


def _write(recorded: Timeline, path: Path) -> None:
    suffix = suffix_of(path, [*_DRAWN, ".fsmt"])
    if suffix == ".fsmt":
        recorded.save(path)
    elif suffix[1:] in FORMATS:
        recorded.draw(path)
    else:
        recorded.export(path)
    typer.echo(f"Wrote {path}", err=True)


def _load_tracks(run: Path) -> Timeline:
    """Return the timeline in a file, which has at least one track; commands use the first.

    Raises:
        CommandError: the timeline has no tracks.
    """
    recorded = Timeline.load(run)
    if not recorded.tracks:
        raise CommandError(f"{run} has no tracks, because nothing was recorded.")
    return recorded
