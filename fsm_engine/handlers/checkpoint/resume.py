"""Find the checkpoint files of a handler in a folder, and load the newest valid one."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from fsm_engine.handlers.checkpoint.checksummed_file import (
    BadFileError,
    has_manifest,
    read_manifest,
    verified_manifest,
    versions,
)
from fsm_engine.handlers.checkpoint.retention import Saved


@dataclass(frozen=True)
class CheckpointFile:
    """A file with the name of a checkpoint.

    Attributes:
        path: its path.
        written_ns: when it was written, in nanoseconds since the epoch.
        manifest: its manifest; None if it cannot be read.
    """

    path: Path
    written_ns: int
    manifest: Mapping[str, Any] | None

    @property
    def saved(self) -> Saved | None:
        """The entry of this file for retention; None if its priority is unknown."""
        priority = self.manifest.get("priority") if self.manifest else None
        return None if priority is None else Saved(priority, self.path.name)


def files_in(folder: Path, name: re.Pattern[str], basename: str, score_name: str | None) -> list[CheckpointFile]:
    """Return the files of one checkpoint handler in `folder`, newest first.

    Files of other handlers in the same folder are left out by their names and manifests.
    """
    named = [_file(path) for path in folder.iterdir() if name.fullmatch(path.name)] if folder.is_dir() else []
    own = [file for file in named if _belongs_to(file.manifest, basename, score_name)]
    return sorted(own, key=lambda file: file.written_ns, reverse=True)


def load_newest_valid(
    files: Sequence[CheckpointFile], load: Callable[[Any], None], logger: logging.Logger
) -> tuple[Path, list[Saved]] | None:
    """Call `load` with the content of the newest valid file.

    A file is valid if its checksum is right, it holds only plain data, and `load` does not raise. Newer files that are
    not valid are skipped with a warning.

    Args:
        files: the files, newest first.
        load: called with the content of a file.
        logger: the logger for the warnings.

    Returns:
        The path of the file, and the entries of all files that are not known to be invalid. None if `files` is empty.

    Raises:
        RuntimeError: no file is valid; the message has the reason for each file.
    """
    reasons: dict[Path, str] = {}
    for file in files:
        try:
            load(load_verified(file.path))
        except Exception as error:
            reasons[file.path] = _reason(error)
            logger.warning("%s is skipped: %s.", file.path, reasons[file.path])
        else:
            _warn_of_other_versions(file, logger)
            return file.path, [other.saved for other in files if other.saved and other.path not in reasons]
    if reasons:
        listed = "\n".join(f"  {path}: {reason}" for path, reason in reasons.items())
        raise RuntimeError(f"none of the checkpoints is valid:\n{listed}\nTo start from the beginning, move them away.")
    return None


def load_verified(path: Path) -> Any:
    """Return the content of a file, with tensors on the CPU, after checking its checksum. No code in it is run.

    Raises:
        BadFileError: the file is not as it was written.
        Exception: `torch.load` raised it.
    """
    verified_manifest(path)
    return _load(path)


def load_any(path: str | Path) -> Any:
    """Return the content of a file; the checksum is checked only if the file has a manifest.

    Raises:
        BadFileError: the file is not as it was written.
        Exception: `torch.load` raised it.
    """
    path = Path(path)
    return load_verified(path) if has_manifest(path) else _load(path)


def _load(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _file(path: Path) -> CheckpointFile:
    modified = path.stat().st_mtime_ns
    try:
        manifest = read_manifest(path)
    except (BadFileError, OSError):
        return CheckpointFile(path, modified, None)
    return CheckpointFile(path, manifest.get("written_ns", modified), manifest)


def _belongs_to(manifest: Mapping[str, Any] | None, basename: str, score_name: str | None) -> bool:
    return manifest is None or (manifest.get("basename"), manifest.get("score_name")) == (basename, score_name)


def _reason(error: Exception) -> str:
    if isinstance(error, UnpicklingError):  # torch's own message says how to load the file unsafely
        named = re.search(r"GLOBAL (\S+)", str(error))
        found = f", {named[1]}" if named else ""
        return f"it holds something else than tensors and plain data{found}, and loading that may run code"
    return str(error) or type(error).__name__


def _warn_of_other_versions(file: CheckpointFile, logger: logging.Logger) -> None:
    wrote, here = (file.manifest or {}).get("versions", {}), versions()
    others = [f"{name} {wrote[name]}, not {here[name]}" for name in wrote if wrote[name] != here.get(name, wrote[name])]
    if others:
        logger.warning("%s was written with %s.", file.path, "; ".join(others))
