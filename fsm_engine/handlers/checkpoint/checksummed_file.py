"""Checkpoint files that say what they should be: what torch writes, then a manifest and a digest of both.

The manifest is in the file, not beside it, because two files cannot be put in their places at once: a process killed
in between would leave one that does not match. In torch's zip format it is the archive's comment (``unzip -z`` shows
it), and what reads the file otherwise passes over it.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import torch

FORMAT = 1
_MARK = b" fsm_engine checkpoint\n"
_FOOTER = len(f"\n{'0' * 64} {'0' * 8}") + len(_MARK)  # as `_footer` writes it
_ZIP = b"PK\x03\x04"
_BLOCK = 2**20
_COMMENT = struct.Struct("<H")  # the length of a zip archive's comment, the last that torch writes


class BadFileError(RuntimeError):
    """A file that cannot be taken for a checkpoint; the message says why."""


def write_sealed(checkpoint: Any, file: IO[bytes], facts: Mapping[str, Any], **torch_save_kwargs: Any) -> None:
    """Write `checkpoint` to `file`, opened for reading and writing, and its manifest, which holds `facts`, too.

    Raises:
        OSError: it cannot be written.
        Exception: what `torch.save` raises.
    """
    written = _Written(file)
    try:
        torch.save(checkpoint, written, **torch_save_kwargs)  # type: ignore[arg-type]  # it needs write and flush
    except Exception as error:
        if written.error is not None:  # torch tells of that as of an inner failure of its own
            raise written.error from error
        raise
    manifest = {
        "format": FORMAT,
        **facts,
        "written_ns": time.time_ns(),
        "versions": versions(),
        "size": written.size,
        "sha256": written.digest.hexdigest(),
    }
    text = json.dumps(manifest).encode()
    written.digest.update(text)
    footer = _footer(written.digest.hexdigest(), len(text))
    if written.is_zip:
        file.seek(-_COMMENT.size, os.SEEK_END)
        file.write(_COMMENT.pack(len(text) + len(footer)))
    file.write(text + footer)


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest of a file, without looking at the rest of it.

    Raises:
        BadFileError: it has none, or one of another format.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return _manifest(file)[0]


def check_sealed(path: Path) -> dict[str, Any]:
    """Read the whole file, and return its manifest.

    Raises:
        BadFileError: it is not what was written.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        manifest, size, digest = _manifest(file)
        found = hashlib.sha256()
        for block in _as_torch_wrote_it(file, size):
            found.update(block)
        if found.hexdigest() != digest:
            raise BadFileError("its contents do not match its SHA-256, so it was changed or damaged")
        return manifest


def is_sealed(path: Path) -> bool:
    """Say whether the file ends as those do that have a manifest."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - len(_MARK), 0))
        return file.read() == _MARK


def versions() -> dict[str, str | None]:
    """Return the versions of what takes part in writing and reading a checkpoint."""
    from fsm_engine._util.version import __version__

    numpy = sys.modules.get("numpy")
    return {
        "fsm_engine": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "numpy": numpy.__version__ if numpy is not None else None,
    }


def _manifest(file: IO[bytes]) -> tuple[dict[str, Any], int, str]:
    """Return the manifest, the size of what torch wrote, and the digest of both."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - _FOOTER, 0))
    footer = file.read()
    if len(footer) < _FOOTER or not footer.endswith(_MARK):
        raise BadFileError("it has no manifest at its end: it was cut off, or not written by fsm_engine")
    try:
        digest, length = footer[1:65].decode(), int(footer[66:74], 16)
        size = end - _FOOTER - length
        file.seek(size)
        manifest = json.loads(file.read(length))
        known = manifest["format"]
        if footer != _footer(digest, length):
            raise ValueError
    except (ValueError, LookupError, TypeError, OSError):
        raise BadFileError("its manifest cannot be read, so it was changed or damaged") from None
    if known != FORMAT:
        raise BadFileError(
            f"it has the format {known!r}, written by fsm_engine {manifest.get('versions', {}).get('fsm_engine')}, "
            f"and this version reads format {FORMAT}"
        )
    return manifest, size, digest


def _footer(digest: str, length: int) -> bytes:
    return f"\n{digest} {length:08x}".encode() + _MARK


def _as_torch_wrote_it(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Give what the digest is of: up to the footer, with the comment's length as torch wrote it."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    is_zip = file.read(len(_ZIP)) == _ZIP
    file.seek(0)
    yield from _blocks(file, size - _COMMENT.size)
    length = file.read(_COMMENT.size)
    if is_zip and length == _COMMENT.pack((end - size) % 2**16):
        length = _COMMENT.pack(0)
    yield length
    yield from _blocks(file, end - _FOOTER - size)


def _blocks(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0:
        block = file.read(min(size, _BLOCK))
        if not block:
            return
        size -= len(block)
        yield block


class _Written:
    """Passes on to a file what torch writes, and keeps its digest, its size and the first error."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0
        self.is_zip = False
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        if not self.size:
            self.is_zip = bytes(data[:4]) == _ZIP
        try:
            self._file.write(data)
        except OSError as error:
            self.error = self.error or error
            raise
        self.digest.update(data)
        written = memoryview(data).nbytes
        self.size += written
        return written

    def flush(self) -> None:
        self._file.flush()
