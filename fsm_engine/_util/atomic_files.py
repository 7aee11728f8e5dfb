"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def write_whole(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write `content` to a file; if that fails, a file that was there is left as it was. Returns the path.

    It is written beside the file, under another name, and then put in its place; rights are kept, and links followed.
    A device or a pipe is written to, and stays.

    Raises:
        OSError: it cannot be written, such as for a folder that is not there.
    """
    with writing_whole(path) as file:
        file.write(content)
    return Path(path)


@contextmanager
def writing_whole(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Give a file to write to, which becomes that of `path` when the ``with`` block ends well; see `write_whole`.

    Raises:
        OSError: it cannot be written.
    """
    wanted = Path(path)
    target = wanted.resolve()
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{wanted} cannot be written: there is no folder {target.parent}. Make it first.")
    if target.is_dir():
        raise IsADirectoryError(f"{wanted} is a folder. Name a file in it.")
    if wanted.exists() and not wanted.is_file():
        with wanted.open("wb") as file:
            yield file
        return
    with tempfile.NamedTemporaryFile(prefix=f".{target.name}.", dir=target.parent, delete=False) as file:
        beside = Path(file.name)
        try:
            yield file
            file.close()
            beside.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
            beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
