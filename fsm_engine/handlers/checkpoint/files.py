"""Writing a file so that it is there whole or not at all, whenever the process or the machine ends."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed
    fcntl = None  # type: ignore[assignment]

_TEMPORARY = re.compile(r"\.fsm_engine-[0-9a-f]{16}\.tmp")


@contextmanager
def writing_durably(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write to, which becomes `path` when the ``with`` block ends well.

    What was at `path` is there until then, and afterwards the new file is on the disk, not only in the system's memory.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    beside, file = _open_beside(path.parent)
    with file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()
            beside.replace(path)
        except BaseException:
            with suppress(OSError):  # what it has in memory still cannot be written either
                file.close()
            beside.unlink(missing_ok=True)
            raise
    _sync_folder(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed processes have left in `folder`; those being written stay."""
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name):
            with suppress(OSError):  # gone meanwhile, or not ours to remove
                _remove_unless_in_use(path)


def _open_beside(folder: Path) -> tuple[Path, IO[bytes]]:
    """Open a new file that is locked for as long as it is open, so that nobody takes it for a leftover."""
    while True:
        beside = folder / f".fsm_engine-{secrets.token_hex(8)}.tmp"
        file = beside.open("xb+")
        _lock(file)
        if beside.exists():  # else somebody removed it before it was locked
            return beside, file
        file.close()


def _remove_unless_in_use(path: Path) -> None:
    with path.open("rb+") as file:
        in_use = not _lock(file)
        if not in_use and fcntl is not None:
            path.unlink(missing_ok=True)
    if not in_use and fcntl is None:
        path.unlink(missing_ok=True)


def _lock(file: IO[bytes]) -> bool:
    """Lock `file` until it is closed, by whatever ends the process; say whether nobody else had."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems cannot, and the file itself is written
            os.fsync(opened)
    finally:
        os.close(opened)
