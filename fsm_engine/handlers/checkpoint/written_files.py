"""`WrittenFiles`: the file that a save handler writes for each file name that it is called with."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

_TIMESTAMP_RESOLUTION_NS = 50_000_000  # of the slowest usual file system


class _Stamp(NamedTuple):
    inode: int
    modified_ns: int
    size: int


class WrittenFiles:
    """Records to which file in a folder a save handler writes each checkpoint.

    A save handler may write a checkpoint to another file than the given one, for example every checkpoint to
    ``best.pt``. Removing an old checkpoint would then remove the new one.
    """

    def __init__(self) -> None:
        self._files: dict[str, Path | None] = {}

    @contextmanager
    def record(self, filename: str, folder: Path) -> Iterator[None]:
        """Record the file in `folder` that changes in the ``with`` block as the file of `filename`.

        If several change, it is one with the same suffix, and of these the largest: others may describe it.
        """
        before, started_ns = _stamps(folder), time.time_ns()
        yield
        changes = []
        for path, stamp in _stamps(folder).items():
            is_certain = stamp != before.get(path)
            if is_certain or stamp.modified_ns > started_ns - _TIMESTAMP_RESOLUTION_NS:
                changes.append((path.suffix == Path(filename).suffix, is_certain, stamp.size, path))
        written = max(changes)[-1] if changes else None
        self._files = {name: file for name, file in self._files.items() if file != written}
        self._files[filename] = written

    def is_overwritten(self, old: str, new: str, folder: Path) -> bool:
        """Return True if `old` may have no file of its own because `new`, which was recorded, has overwritten it."""
        written = self._files[new]
        return old not in self._files and written not in (None, folder / new)


def _stamps(folder: Path) -> dict[Path, _Stamp]:
    stamps = {}
    for entry in os.scandir(folder) if folder.is_dir() else ():
        with suppress(FileNotFoundError):  # a process removed it
            if entry.is_file():
                status = entry.stat()
                stamps[Path(entry.path)] = _Stamp(status.st_ino, status.st_mtime_ns, status.st_size)
    return stamps
