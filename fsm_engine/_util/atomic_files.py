"""Write files atomically: a path has either its old content or all of the new content."""

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
except ImportError:  # Windows, which does not remove or replace a file that is open
    fcntl = None  # type: ignore[assignment]

_TEMPORARY = re.compile(r"\.fsm_engine-[0-9a-f]{16}\.tmp")


def write_atomically(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write `content` to a file atomically, and return its path; see `open_atomically`.

    Raises:
        OSError: the file cannot be written, for example because its folder does not exist.
    """
    with open_atomically(path) as file:
        file.write(content)
    return Path(path)


@contextmanager
def open_atomically(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Yield a file whose content becomes the content of `path` when the ``with`` block ends without an exception.

    An existing file keeps its permissions, and a link stays a link. A device or a pipe is written to directly.

    Raises:
        OSError: the file cannot be written.
    """
    given = Path(path)
    target = given.resolve()
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{given} cannot be written: there is no folder {target.parent}. Make it first.")
    if target.is_dir():
        raise IsADirectoryError(f"{given} is a folder. Name a file in it.")
    if given.exists() and not given.is_file():
        with given.open("wb") as file:
            yield file
        return
    with _replacing(target, durable=False) as file:
        if target.exists():
            Path(file.name).chmod(target.stat().st_mode & 0o777)
        yield file


@contextmanager
def writing_durably(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that replaces `path` when the ``with`` block ends without an exception.

    The file is then on the disk, not only in the cache of the operating system. A kill of the process or a crash of the
    machine leaves either the old file or the new one, and perhaps a temporary file for `remove_leftovers`.

    Raises:
        OSError: the file cannot be written. The temporary file is removed.
    """
    with _replacing(path, durable=True) as file:
        yield file
    _sync_folder(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed processes from `folder`; files that a process still writes to stay."""
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name):
            with suppress(OSError):  # another process removed it, or this process may not
                _remove_unless_in_use(path)


@contextmanager
def _replacing(path: Path, durable: bool) -> Iterator[IO[bytes]]:
    file = _open_temporary(path.parent)
    temporary = Path(file.name)
    with file:
        try:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
            if fcntl is None:
                file.close()
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):  # on a full disk, buffered data cannot be written now either
                file.close()
            temporary.unlink(missing_ok=True)
            raise


def _open_temporary(folder: Path) -> IO[bytes]:
    """Open a new file in `folder`, locked while it is open, so that `remove_leftovers` does not remove it."""
    while True:
        path = folder / f".fsm_engine-{secrets.token_hex(8)}.tmp"
        file = path.open("xb+")
        _lock(file)
        if path.exists():  # else another process removed it before it was locked
            return file
        file.close()


def _remove_unless_in_use(path: Path) -> None:
    if fcntl is None:
        path.unlink(missing_ok=True)
        return
    with path.open("rb+") as file:
        if _lock(file):
            path.unlink(missing_ok=True)


def _lock(file: IO[bytes]) -> bool:
    """Lock `file` until it is closed or the process ends; return False if another process has locked it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    if fcntl is None:  # on Windows, a folder cannot be opened
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems cannot, and the file itself is on the disk
            os.fsync(opened)
    finally:
        os.close(opened)
