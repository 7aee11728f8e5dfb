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

from fsm_engine._util.errors import BusyError
from fsm_engine.handlers.checkpoint.checksummed_file import BadFileError, NoManifestError, read_manifest, versions
from fsm_engine.handlers.checkpoint.rank_states import WorldSizeError
from fsm_engine.handlers.checkpoint.retention import Saved
from fsm_engine.handlers.checkpoint.sharded_tensors import TABLE
from fsm_engine.handlers.checkpoint.shards import open_shards, state_file
from fsm_engine.handlers.checkpoint.shared_folder import number_of


@dataclass(frozen=True)
class CheckpointFile:
    """A file with the name of a checkpoint.

    Attributes:
        path: its path.
        written_ns: when it was written, in nanoseconds since the epoch, by a clock that may be wrong.
        manifest: its manifest; empty if it cannot be read.
    """

    path: Path
    written_ns: int
    manifest: Mapping[str, Any]

    @property
    def age_key(self) -> tuple[bool, int, int]:
        """The key that sorts files by age: the save number. A file without a manifest counts as the newest.

        Its age is unknown. `load_newest_valid` tries the newest first, so it warns of each such file.
        """
        return not self.manifest, number_of(self.manifest), self.written_ns

    @property
    def saved(self) -> Saved | None:
        """The entry of this file for retention; None if its priority is unknown."""
        priority = self.manifest.get("priority")
        return None if priority is None else Saved(priority, self.path.name)


def files_in(folder: Path, name: re.Pattern[str], basename: str, score_name: str | None) -> list[CheckpointFile]:
    """Return the files of one checkpoint handler in `folder`, newest first.

    Files of other handlers in the same folder are left out by their names and manifests.
    """
    paths = [path for path in folder.iterdir() if name.fullmatch(path.name)] if folder.is_dir() else []
    named = [_file(path) for path in paths if path.is_file() or state_file(path).is_file()]  # a save ends with it
    own = (basename, score_name)
    files = [f for f in named if not f.manifest or (f.manifest.get("basename"), f.manifest.get("score_name")) == own]
    return sorted(files, key=lambda file: file.age_key, reverse=True)


def load_newest_valid(
    files: Sequence[CheckpointFile], load: Callable[[Any, Mapping[str, Any]], None], logger: logging.Logger
) -> tuple[Path, list[Saved]] | None:
    """Call `load` with the content and the manifest of the newest valid file.

    A file is valid if its checksum is right, it holds only plain data, and `load` does not raise. Newer files that are
    not valid are skipped with a warning.

    Args:
        files: the files, newest first.
        load: called with the content and the manifest of a file.
        logger: the logger for the warnings.

    Returns:
        The path of the file, and the entries of all files that are not known to be invalid. None if `files` is empty.

    Raises:
        RuntimeError: no file is valid; the message has the reason for each file.
        BusyError: an engine is running, which is no fault of the file.
        WorldSizeError: the newest file that can be read was saved by another number of processes.
    """
    reasons: dict[Path, str] = {}
    for file in files:
        try:
            load(*load_file(file.path))
        except BusyError:
            raise
        except WorldSizeError as error:
            raise WorldSizeError(f"{file.path}: {error}") from None
        except Exception as error:
            reasons[file.path] = reason_of(error)
            logger.warning("%s is skipped: %s.", file.path, reasons[file.path].rstrip("."))
        else:
            warn_of_other_versions(file, logger)
            return file.path, saved_in(files, reasons)
    if reasons:
        raise none_is_valid(reasons)
    return None


def saved_in(files: Sequence[CheckpointFile], reasons: Mapping[Path, str]) -> list[Saved]:
    """Return the entries of the files that are not known to be invalid, for which there are `reasons`."""
    return [file.saved for file in files if file.saved and file.path not in reasons]


def none_is_valid(reasons: Mapping[Path, str]) -> RuntimeError:
    """Return the error of a folder in which no file is valid."""
    listed = "\n".join(f"  {path}: {reason}" for path, reason in reasons.items())
    return RuntimeError(f"none of the checkpoints is valid:\n{listed}\nTo start from the beginning, move them away.")


def load_file(path: Path, needs_manifest: bool = True) -> tuple[Any, Mapping[str, Any]]:
    """Return the content of a file, with tensors on the CPU, and its manifest, after checking its SHA-256.

    No code in the file is run. Sharded tensors, in the folder of a checkpoint, are read when they are loaded.

    Args:
        path: the path of the file or folder.
        needs_manifest: whether a file without a manifest is refused; otherwise it is loaded unchecked, and its
            manifest is empty.

    Raises:
        BadFileError: the file is not as it was written.
        Exception: `torch.load` raised it.
    """
    manifest: Mapping[str, Any] = {}
    file = state_file(path)
    try:
        manifest = read_manifest(file)
    except NoManifestError:
        if needs_manifest:
            raise
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise BadFileError(f"{path} cannot be loaded: {reason_of(error)}") from error
    if "shards" in manifest:
        content[TABLE] = open_shards(path, manifest["shards"], content[TABLE])
    return content, manifest


def _file(path: Path) -> CheckpointFile:
    file = state_file(path)
    modified = file.stat().st_mtime_ns
    try:
        manifest = read_manifest(file, verify=False)
    except (BadFileError, OSError):
        manifest = {}
    return CheckpointFile(path, manifest.get("written_ns", modified), manifest)


def reason_of(error: Exception) -> str:
    """Return why a file that raised `error` is not valid."""
    if isinstance(error, UnpicklingError):  # torch's own message says how to load the file unsafely
        named = re.search(r"GLOBAL (\S+)", str(error))
        if named is None:
            return "it is not a file that torch.save wrote, or it is damaged"
        return f"it holds something else than tensors and plain data, {named[1]}, and loading that may run code"
    return str(error) or type(error).__name__


def warn_of_other_versions(file: CheckpointFile, logger: logging.Logger) -> None:
    """Log a warning if other versions wrote `file`."""
    here = versions()
    wrote = file.manifest.get("versions", {}).items()
    others = [f"{name} {version}, not {here[name]}" for name, version in wrote if version != here.get(name, version)]
    if others:
        logger.warning("%s was written with %s.", file.path, "; ".join(others))
