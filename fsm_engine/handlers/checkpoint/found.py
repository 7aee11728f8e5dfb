"""The checkpoints that are in a folder, and the newest of them that is good."""

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
    check_sealed,
    is_sealed,
    read_manifest,
    versions,
)
from fsm_engine.handlers.checkpoint.retention import Saved


@dataclass(frozen=True)
class Found:
    """A file that is a checkpoint by its name.

    Attributes:
        path: where it is.
        written_ns: when it was written, in nanoseconds.
        manifest: what it says about itself; None if that cannot be read.
    """

    path: Path
    written_ns: int
    manifest: Mapping[str, Any] | None

    @property
    def saved(self) -> Saved | None:
        """The file as one of those that are kept, if it is known how good it is."""
        priority = self.manifest.get("priority") if self.manifest else None
        return None if priority is None else Saved(priority, self.path.name)


def found_in(folder: Path, name: re.Pattern[str], basename: str, score_name: str | None) -> list[Found]:
    """Return the files of one checkpoint handler, the newest first; others may write to the same folder."""
    named = [_found(path) for path in folder.iterdir() if name.fullmatch(path.name)] if folder.is_dir() else []
    ours = [found for found in named if _is_of(found.manifest, basename, score_name)]
    return sorted(ours, key=lambda found: found.written_ns, reverse=True)


def load_newest_good(
    found: Sequence[Found], load: Callable[[Any], None], logger: logging.Logger
) -> tuple[Path, list[Saved]] | None:
    """Hand to `load` what is in the newest file that is good: whole, of tensors and plain data, and it raises nothing.

    The others are told of in the log.

    Args:
        found: the files, the newest first.
        load: called with what is in a file.
        logger: of whom they are.

    Returns:
        The path of the file, and what else is there that is perhaps good. None if there are no files.

    Raises:
        RuntimeError: there are files, and none is good.
    """
    reasons: dict[Path, str] = {}
    for one in found:
        try:
            load(load_checked(one.path))
        except Exception as error:
            reasons[one.path] = _reason(error)
            logger.warning("%s is passed over: %s.", one.path, reasons[one.path])
        else:
            _tell_of_versions(one, logger)
            return one.path, [other.saved for other in found if other.saved and other.path not in reasons]
    if reasons:
        listed = "\n".join(f"  {path}: {reason}" for path, reason in reasons.items())
        raise RuntimeError(f"none of the checkpoints is good:\n{listed}\nTo begin anew, move them away.")
    return None


def load_checked(path: Path) -> Any:
    """Return what is in a file, if that is what was written. No code in it is run; tensors come to the CPU.

    Raises:
        BadFileError: it is not.
        Exception: what `torch.load` raises.
    """
    check_sealed(path)
    return _load(path)


def load_any(path: str | Path) -> Any:
    """Return what is in a file, checked if it has a manifest; others may have been written by something else.

    Raises:
        BadFileError: it is not what was written.
        Exception: what `torch.load` raises.
    """
    path = Path(path)
    return load_checked(path) if is_sealed(path) else _load(path)


def _load(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _found(path: Path) -> Found:
    changed = path.stat().st_mtime_ns
    try:
        manifest = read_manifest(path)
    except (BadFileError, OSError):
        return Found(path, changed, None)
    return Found(path, manifest.get("written_ns", changed), manifest)


def _is_of(manifest: Mapping[str, Any] | None, basename: str, score_name: str | None) -> bool:
    return manifest is None or (manifest.get("basename"), manifest.get("score_name")) == (basename, score_name)


def _reason(error: Exception) -> str:
    if isinstance(error, UnpicklingError):  # torch says at length how to load it all the same
        named = re.search(r"GLOBAL (\S+)", str(error))
        found = f", {named[1]}" if named else ""
        return f"it holds something else than tensors and plain data{found}, and loading that may run code"
    return str(error) or type(error).__name__


def _tell_of_versions(found: Found, logger: logging.Logger) -> None:
    wrote, here = (found.manifest or {}).get("versions", {}), versions()
    others = [f"{name} {wrote[name]}, not {here[name]}" for name in wrote if wrote[name] != here.get(name, wrote[name])]
    if others:
        logger.warning("%s was written with %s.", found.path, "; ".join(others))
