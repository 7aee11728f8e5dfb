"""The format of checkpoint files: the output of `torch.save`, a manifest in JSON, and a SHA-256 of both.

The manifest is in the file, not beside it: two files cannot be replaced at the same time, and a kill in between would
leave files that do not match. In torch's zip format the manifest is the comment of the archive (``unzip -z`` shows it),
which other readers of the file skip.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import struct
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch

from fsm_engine._util.version import __version__

FORMAT = 1
_MARK = b" fsm_engine checkpoint\n"
_FOOTER = len(f"\n{'0' * 64} {'0' * 8}") + len(_MARK)  # the length of a `_footer`
_ZIP = b"PK\x03\x04"
_BLOCK = 2**20
_COMMENT = struct.Struct("<H")  # the length of a zip archive's comment, the last field that torch writes


class BadFileError(RuntimeError):
    """A file is not a valid checkpoint; the message has the reason."""


class NoManifestError(BadFileError):
    """A file does not end with a manifest."""


def write_checksummed(checkpoint: Any, file: IO[bytes], facts: Mapping[str, Any], **torch_save_kwargs: Any) -> None:
    """Write `checkpoint` to `file`, which is open for reading and writing, and a manifest that includes `facts`.

    Raises:
        OSError: the file cannot be written.
        Exception: `torch.save` raised it.
    """
    output = _HashingFile(file)
    try:
        torch.save(checkpoint, output, **torch_save_kwargs)  # type: ignore[arg-type]  # it needs write and flush
    except Exception as error:
        if output.error is not None:  # torch raises a RuntimeError about its own internals in its place
            raise output.error from error
        raise
    manifest = {
        "format": FORMAT,
        **facts,
        "written_ns": time.time_ns(),
        "versions": versions(),
        "size": output.size,
        "sha256": output.sha256.hexdigest(),
    }
    text = json.dumps(manifest).encode()
    output.sha256.update(text)
    footer = _footer(output.sha256.hexdigest(), len(text))
    if output.is_zip:
        file.seek(-_COMMENT.size, os.SEEK_END)
        file.write(_COMMENT.pack(len(text) + len(footer)))
    file.write(text + footer)


def read_manifest(path: Path, verify: bool = True) -> dict[str, Any]:
    """Return the manifest of a file.

    Args:
        path: the path of the file.
        verify: whether to read the whole file and check its SHA-256.

    Raises:
        NoManifestError: the file does not end with a manifest.
        BadFileError: the file is not as it was written, or has another format.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        manifest, size, expected = _manifest(file)
        if verify and _sha256(file, size) != expected:
            raise BadFileError("its contents do not match its SHA-256, so it was changed or damaged")
        return manifest


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the content of a file.

    Raises:
        OSError: the file cannot be read.
    """
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        _update(sha256, file, path.stat().st_size)
    return sha256.hexdigest()


def versions() -> dict[str, str | None]:
    """Return the versions of the software that writes and reads checkpoints; None for a package not imported."""
    numpy = sys.modules.get("numpy")
    return {
        "fsm_engine": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "numpy": numpy.__version__ if numpy is not None else None,
    }


def _manifest(file: IO[bytes]) -> tuple[dict[str, Any], int, str]:
    """Return the manifest, the size of torch's output, and the SHA-256 of both."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - _FOOTER, 0))
    footer = file.read()
    if len(footer) < _FOOTER or not footer.endswith(_MARK):
        raise NoManifestError("it has no manifest at its end: it was cut off, or not written by fsm_engine")
    try:
        digest, length = footer[1:65].decode(), int(footer[66:74], 16)
        size = end - _FOOTER - length
        file.seek(size)
        manifest = json.loads(file.read(length))
        file_format = manifest["format"]
        if footer != _footer(digest, length):
            raise ValueError
    except (ValueError, LookupError, TypeError, OSError):
        raise BadFileError("its manifest cannot be read, so it was changed or damaged") from None
    if file_format != FORMAT:
        raise BadFileError(
            f"it has the format {file_format!r}, written by fsm_engine "
            f"{manifest.get('versions', {}).get('fsm_engine')}, and this version reads format {FORMAT}"
        )
    return manifest, size, digest


def _footer(digest: str, length: int) -> bytes:
    return f"\n{digest} {length:08x}".encode() + _MARK


def _sha256(file: IO[bytes], size: int) -> str:
    """Return the SHA-256 of all bytes before the footer, with the length of the zip comment as torch wrote it."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    is_zip = file.read(len(_ZIP)) == _ZIP
    file.seek(0)
    sha256 = hashlib.sha256()
    _update(sha256, file, size - _COMMENT.size)
    length = file.read(_COMMENT.size)
    sha256.update(_COMMENT.pack(0) if is_zip and length == _COMMENT.pack((end - size) % 2**16) else length)
    _update(sha256, file, end - _FOOTER - size)
    return sha256.hexdigest()


def _update(sha256: Any, file: IO[bytes], size: int) -> None:
    while size > 0 and (block := file.read(min(size, _BLOCK))):
        size -= len(block)
        sha256.update(block)


class _HashingFile:
    """Pass writes on to a file, and record their SHA-256, their total size and the first error."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
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
        self.sha256.update(data)
        written = memoryview(data).nbytes
        self.size += written
        return written

    def flush(self) -> None:
        self._file.flush()
