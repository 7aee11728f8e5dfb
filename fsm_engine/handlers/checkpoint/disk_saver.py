"""`DiskSaver`: writes checkpoints to files in a folder, and removes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fsm_engine._util.atomic_files import open_durably, remove_leftovers
from fsm_engine.handlers.checkpoint.checksummed_file import write_checksummed
from fsm_engine.handlers.checkpoint.retention import EXTENSION

_FACTS = ("basename", "score_name", "priority", "global_step", "keys", "iteration", "epoch")


class BaseSaveHandler(ABC):
    """Base class of objects that save and remove the checkpoints of a `Checkpoint`."""

    @abstractmethod
    def __call__(self, checkpoint: Any, filename: str, metadata: Mapping[str, Any] | None = None) -> None:
        """Save `checkpoint` under this file name.

        Args:
            checkpoint: the objects' state dicts.
            filename: the file name.
            metadata: a mapping with the keys basename, score_name and priority.
        """

    @abstractmethod
    def remove(self, filename: str) -> None:
        """Remove the checkpoint with this file name."""


class DiskSaver(BaseSaveHandler):
    """Write each checkpoint to a file in a folder, with `torch.save`.

    Each file is written under a temporary name, flushed to the disk, and renamed. So a file is complete or absent, even
    if the process is killed or the machine crashes. Temporary files of killed processes are removed when a `DiskSaver`
    is created. Each file ends with a manifest: versions, size, SHA-256, and facts about the content. Other readers of
    torch files ignore it.

    In a distributed run, only one process writes.

    Args:
        dirname: the folder.
        atomic: whether files get a temporary name first. Without it, a failed save leaves an incomplete file.
        create_dir: whether to create the folder if it does not exist.
        require_empty: whether to raise an error if the folder has checkpoints. Use False for a job that resumes.
        save_on_rank: the rank of the process that writes.
        **kwargs: arguments of `torch.save`; ``_use_new_zipfile_serialization=False`` selects torch's older format.

    Attributes:
        dirname: the folder, as a path.

    Raises:
        ValueError: the folder does not exist, or it has checkpoints.
    """

    def __init__(
        self,
        dirname: str | Path,
        atomic: bool = True,
        create_dir: bool = True,
        require_empty: bool = True,
        save_on_rank: int = 0,
        **kwargs: Any,
    ) -> None:
        self.dirname = Path(dirname).expanduser()
        self.save_on_rank = save_on_rank
        self._atomic, self._kwargs = atomic, kwargs
        if self.is_writer:
            self._prepare(create_dir, require_empty)

    @property
    def is_writer(self) -> bool:
        """True in the process that writes."""
        return _rank() == self.save_on_rank

    def __call__(self, checkpoint: Any, filename: str, metadata: Mapping[str, Any] | None = None) -> None:
        """Write `checkpoint` to a file, which is on the disk when this method returns.

        Raises:
            OSError: the file cannot be written; with `atomic`, no part of it remains.
            Exception: `torch.save` raised it.
        """
        if not self.is_writer:
            return
        path = self.dirname / filename
        facts = {name: metadata[name] for name in _FACTS if name in metadata} if metadata else {}
        try:
            with open_durably(path) if self._atomic else path.open("wb+") as file:
                write_checksummed(checkpoint, file, facts, **self._kwargs)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror or error}; the checkpoint was not saved", str(path)) from error

    def remove(self, filename: str) -> None:
        """Remove a file, if it exists."""
        if self.is_writer:
            (self.dirname / filename).unlink(missing_ok=True)

    def _prepare(self, create_dir: bool, require_empty: bool) -> None:
        if create_dir:
            self.dirname.mkdir(parents=True, exist_ok=True)
        if not self.dirname.is_dir():
            raise ValueError(f"Directory path '{self.dirname}' is not found. Make it first, or give create_dir=True.")
        present = sorted(path.name for path in self.dirname.iterdir() if path.suffix == f".{EXTENSION}")
        if require_empty and present:
            raise ValueError(
                f"Files {present} with extension '.{EXTENSION}' are already present in the directory {self.dirname}. "
                f"To use this directory anyway, for example to resume(), pass `require_empty=False`."
            )
        remove_leftovers(self.dirname)


def _rank() -> int:
    distributed = torch.distributed
    return distributed.get_rank() if distributed.is_available() and distributed.is_initialized() else 0
