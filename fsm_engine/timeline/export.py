"""Export of timelines to files for other programs."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import IO

from fsm_engine._util.atomic_files import open_atomically
from fsm_engine._util.choices import choose, suffix_of
from fsm_engine.timeline import chrome, perfetto
from fsm_engine.timeline.timeline import Timeline

_LINES_PER_WRITE = 4096


def _write_json(timeline: Timeline, file: IO[bytes], rank: int | None) -> None:
    _write_lines(file, chrome.trace_lines(timeline, rank))


def _write_json_gz(timeline: Timeline, file: IO[bytes], rank: int | None) -> None:
    with gzip.GzipFile("", "wb", 3, file) as compressed:
        _write_lines(compressed, chrome.trace_lines(timeline, rank))


FORMATS: dict[str, Callable[[Timeline, IO[bytes], int | None], None]] = {
    "json": _write_json,
    "json.gz": _write_json_gz,
    "perfetto": perfetto.write,
}
SUFFIXES = {".json": "json", ".json.gz": "json.gz", ".perfetto": "perfetto", ".pftrace": "perfetto"}


def export(
    timeline: Timeline,
    path: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002  # the word that matplotlib and Graphviz use
    rank: int | None = None,
) -> Path:
    """Write `timeline` for another program; see `Timeline.export`."""
    write = FORMATS[get_format(Path(path), format)]
    with open_atomically(path) as file:
        write(timeline, file, rank)
    return Path(path)


def get_format(path: Path, format_: str | None = None) -> str:
    """Return `format_`, or else the format for the suffix of `path`.

    Raises:
        ValueError: the format or the suffix is unknown.
    """
    if format_ is None:
        try:
            return SUFFIXES[suffix_of(path, SUFFIXES)]
        except ValueError as error:
            names = " or ".join(map(repr, FORMATS))
            raise ValueError(
                f"{error} Or pass format={names}. To write a file for Timeline.load, call save()."
            ) from None
    choose("format", format_, FORMATS)
    return format_


def _write_lines(file: IO[bytes] | gzip.GzipFile, lines: Iterable[str]) -> None:
    rest = iter(lines)
    while block := "".join(islice(rest, _LINES_PER_WRITE)):
        file.write(block.encode())
