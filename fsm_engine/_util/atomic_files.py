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
except ImportError:  # Windows, which does not allow removing or replacing an open file
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
    path = Path(path)
    target = path.resolve()
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {target.parent}. Create it first.")
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Give the path of a file.")
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    with _replacing(target, durable=False) as file:
        if target.exists():
            Path(file.name).chmod(target.stat().st_mode & 0o777)
        yield file


@contextmanager
def open_durably(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that replaces `path` when the ``with`` block ends without an exception.

    The content is flushed to the disk, not only to the cache of the operating system. If the process is killed or the
    machine crashes, either the old or the new file remains, and possibly a temporary file for `remove_leftovers`.

    Raises:
        OSError: the file cannot be written. The temporary file is removed.
    """
    with _replacing(path, durable=True) as file:
        yield file
    sync_folder(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed processes from `folder`, but not files that a process is writing."""
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name):
            with suppress(OSError):  # another process has removed it, or this process has no permission
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
            with suppress(OSError):  # on a full disk, close() cannot write the buffered data, either
                file.close()
            temporary.unlink(missing_ok=True)
            raise


def _open_temporary(folder: Path) -> IO[bytes]:
    """Create a file in `folder` that is locked while it is open, so that `remove_leftovers` does not remove it."""
    while True:
        path = folder / f".fsm_engine-{secrets.token_hex(8)}.tmp"
        file = path.open("xb+")
        _lock(file)
        if path.exists():  # otherwise, another process removed it before it was locked
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


def sync_folder(folder: Path) -> None:
    """Flush the names of the files in `folder` to the disk, where the system supports it."""
    if fcntl is None:  # on Windows, a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems do not support it; the file itself has been flushed
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
