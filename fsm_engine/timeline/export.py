"""Timelines as files for other programs."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

from fsm_engine._util.atomic_files import open_atomically
from fsm_engine.timeline import chrome, perfetto

if TYPE_CHECKING:
    from fsm_engine.timeline.timeline import Timeline

_LINES = 4096


def _json(timeline: Timeline, file: IO[bytes], rank: int) -> None:
    _write_lines(file, chrome.written(timeline, rank))


def _json_gz(timeline: Timeline, file: IO[bytes], rank: int) -> None:
    with gzip.GzipFile("", "wb", 3, file) as packed:
        _write_lines(packed, chrome.written(timeline, rank))


FORMATS: dict[str, Callable[[Timeline, IO[bytes], int], None]] = {
    "json": _json,
    "json.gz": _json_gz,
    "perfetto": perfetto.write,
}
SUFFIXES = {".json": "json", ".json.gz": "json.gz", ".perfetto": "perfetto", ".pftrace": "perfetto"}


def export(timeline: Timeline, path: str | os.PathLike[str], format: str | None = None, rank: int = 0) -> Path:  # noqa: A002
    """Write `timeline` for another program; see `Timeline.export`."""
    write = FORMATS[format_of(Path(path), format)]
    with open_atomically(path) as file:
        write(timeline, file, rank)
    return Path(path)


def format_of(path: Path, format_: str | None = None) -> str:
    """Return the format to write to `path`: the one that is given, or else the one that it ends in.

    Raises:
        ValueError: a format that is not known.
    """
    if format_ is None:
        format_ = next((f for suffix, f in SUFFIXES.items() if path.name.lower().endswith(suffix)), None)
        if format_ is None:
            raise ValueError(
                f"what {path.name} is to hold cannot be told from its name. End it in {', '.join(SUFFIXES)}, or give "
                f"format={' or '.join(map(repr, FORMATS))}. A timeline for this library is written by save()."
            )
    if format_ not in FORMATS:
        raise ValueError(f"format={format_!r} is not known. Give {', '.join(map(repr, FORMATS))}.")
    return format_


def _write_lines(file: IO[bytes] | gzip.GzipFile, lines: Iterable[str]) -> None:
    """Write texts to `file`, many at a time."""
    rest = iter(lines)
    while block := "".join(islice(rest, _LINES)):
        file.write(block.encode())
