"""The recording of a whole program: every engine that runs in the process, outermost first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from fsm_engine.cli.errors import CommandError
from fsm_engine.engine import recording
from fsm_engine.engine.engine import Engine
from fsm_engine.timeline import Timeline
from fsm_engine.timeline.recorder import Recorder


class ProgramRecording:
    """Records every run of the process into one timeline.

    An engine that the program records itself keeps that recorder; its timeline is joined with this one in the end.
    """

    def __init__(self) -> None:
        self._timeline = Timeline()
        self._recorders: list[Recorder] = []
        self._of_program: list[Timeline] = []

    def begin(self, engine: Engine) -> None:
        """Record an outermost run of `engine`, which begins."""
        recorder = engine._recorder
        if recorder is None:
            recorder = engine.record(self._timeline)
            recording.make_way(recorder)
            self._recorders.append(recorder)
        elif recorder.timeline not in (self._timeline, *self._of_program):
            self._of_program.append(recorder.timeline)

    def end(self) -> Timeline:
        """Stop to record, and return the timeline."""
        for recorder in self._recorders:
            recorder.remove()
        timelines = [self._timeline, *self._of_program]
        joined = Timeline(max(timeline.capacity for timeline in timelines))
        for timeline in timelines:
            joined.tracks += timeline.tracks
            joined.counters |= timeline.counters
        return joined


@contextmanager
def recorded_program(path: Path) -> Iterator[None]:
    """Record every run of the block, and write the timeline to `path`, also after an exception.

    In a process that `torchrun` started, the name of the file ends with the rank: ``run_rank0.fsmt``.

    Raises:
        CommandError: the file cannot be written; raised before the block.
        OSError: the file could not be written after the block.
    """
    path = _path_of_rank(path)
    _check_can_write(path)
    program = ProgramRecording()
    try:
        with recording.before_outermost_runs(program.begin):
            yield
    finally:
        timeline = program.end()
        if timeline.tracks:
            typer.echo(f"Wrote {timeline.save(path)}", err=True)
        else:
            typer.echo(f"No engine ran, so {path} was not written.", err=True)


def _path_of_rank(path: Path) -> Path:
    is_alone = int(os.environ.get("WORLD_SIZE", 1)) == 1
    return path if is_alone else path.with_stem(f"{path.stem}_rank{os.environ.get('RANK', 0)}")


def _check_can_write(path: Path) -> None:
    """Check before a long run that its timeline can be written.

    Raises:
        CommandError: the folder does not exist or cannot be written to, or `path` is a folder.
    """
    folder = path.parent
    if path.is_dir():
        raise CommandError(f"{path} is a folder. Name a file in it, such as {path / 'run.fsmt'}.")
    if not folder.is_dir():
        raise CommandError(f"there is no folder {folder} for {path.name}. Create it: mkdir -p {folder}")
    if not os.access(folder, os.W_OK):
        raise CommandError(f"{path} cannot be written, because the folder {folder} is read-only.")
