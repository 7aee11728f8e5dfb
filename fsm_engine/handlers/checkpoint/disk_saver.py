"""`DiskSaver`: writes checkpoints to files in a folder, and removes them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from fsm_engine._util.atomic_files import open_durably, remove_leftovers
from fsm_engine.handlers.checkpoint.checksummed_file import write_checksummed
from fsm_engine.handlers.checkpoint.retention import EXTENSION
from fsm_engine.handlers.checkpoint.sharded_tensors import TABLE
from fsm_engine.handlers.checkpoint.shards import (
    STATE_FILE,
    make_shards_folder,
    remove_folder,
    remove_unused_shards,
    write_shards,
)
from fsm_engine.handlers.checkpoint.shared_folder import SharedFolder, shared_folder
from fsm_engine.handlers.checkpoint.written_files import WrittenFiles

_FACTS = (
    *("basename", "score_name", "priority", "save_number", "global_step", "keys", "classes", "iteration", "epoch"),
    "shards",
)


class BaseSaveHandler(ABC):
    """Base class of objects that save and remove the checkpoints of a `Checkpoint`.

    Example:
        >>> class InMemory(BaseSaveHandler):
        ...     def __init__(self):
        ...         self.files = {}
        ...     def __call__(self, checkpoint, filename, metadata=None):
        ...         self.files[filename] = checkpoint
        ...     def remove(self, filename):
        ...         del self.files[filename]
        >>> trainer, memory = Engine(lambda engine, batch: batch), InMemory()
        >>> checkpoint = Checkpoint({"model": torch.nn.Linear(1, 1)}, memory, n_saved=1)
        >>> _ = trainer.add_event_handler(Events.EPOCH_COMPLETED, checkpoint)
        >>> _ = trainer.run([1, 2], max_epochs=3)
        >>> list(memory.files)
        ['model_6.pt']
    """

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
        """Remove the checkpoint with this file name. A `Checkpoint` calls this method after it saved a new one."""

    def overwrites(self, new: str, old: str) -> bool:  # noqa: ARG002  # subclasses use the names
        """Return True if saving the checkpoint `new` replaces the checkpoint `old`, which then must not be removed.

        Override this method in a subclass that saves checkpoints of several file names in one place; otherwise
        `remove` removes the new checkpoint.
        """
        return False


class DiskSaver(BaseSaveHandler):
    """Write each checkpoint to a file in a folder, with `torch.save`.

    Each file is written under a temporary name, flushed to the disk, and renamed. So a file is complete or absent, even
    if the process is killed or the machine crashes. Temporary files of killed processes are removed when a `DiskSaver`
    is created. Each file ends with a manifest: versions, size, SHA-256, and facts about the content. Other readers of
    torch files ignore it.

    A subclass may write to other files in the folder than the given ones, for example every checkpoint to
    ``best.pt``. A `Checkpoint` notices this, and never removes a file that it has just written.

    In a distributed run, only one process writes. Other processes that save to the same folder are refused, see `lock`.

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

    Example:
        >>> model = torch.nn.Linear(2, 1)
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> saver = DiskSaver(folder, require_empty=False)
        >>> _ = trainer.add_event_handler(Events.COMPLETED, Checkpoint({"model": model}, saver))
        >>> _ = trainer.run([1, 2])
        >>> len(list(folder.glob("*.pt")))
        1
    """

    _shared_folder: SharedFolder | None = None

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
        self._written = WrittenFiles()
        if self.is_writer:
            self._prepare(create_dir, require_empty)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_shared_folder": None}  # it belongs to the process

    @property
    def is_writer(self) -> bool:
        """True in the process that writes."""
        return _rank() == self.save_on_rank

    def __call__(self, checkpoint: Any, filename: str, metadata: Mapping[str, Any] | None = None) -> None:
        """Write `checkpoint` to a file, which is on the disk when this method returns.

        Raises:
            OSError: the file cannot be written; with `atomic`, no part of it remains.
            RuntimeError: another process saves to the folder.
            Exception: `torch.save` raised it.
        """
        if not self.is_writer:
            return
        self.lock()
        path = self.dirname / filename
        facts = {name: metadata[name] for name in _FACTS if name in metadata} if metadata else {}
        try:
            with open_durably(path) if self._atomic else path.open("wb+") as file:
                write_checksummed(checkpoint, file, facts, **self._kwargs)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror or error}; the checkpoint was not saved", str(path)) from error

    def remove(self, filename: str) -> None:
        """Remove a file or folder, if it exists.

        Raises:
            RuntimeError: another process saves to the folder.
        """
        if self.is_writer:
            self.lock()
            path = self.dirname / filename
            if path.is_dir():
                remove_folder(path)
            else:
                path.unlink(missing_ok=True)

    def begin_shards(self, filename: str) -> str:
        """Make a folder for the parts of a checkpoint of sharded tensors, and return its name; on the rank that writes.

        Raises:
            TypeError: a subclass decides where files are written.
            OSError: the folder cannot be made.
        """
        if self._may_rename:
            raise TypeError(
                f"{type(self).__name__} writes one file, and a model that is sharded over ranks needs a folder. Use a "
                f"DiskSaver."
            )
        self._shared().being_written.add(filename)
        return make_shards_folder(self.dirname / filename)

    def save_shards(
        self, checkpoint: Any, tensors: Mapping[str, Any], filename: str, metadata: Mapping[str, Any], group: Any
    ) -> None:
        """Write a checkpoint of sharded tensors, on all ranks together.

        Args:
            checkpoint: the checkpoint without the tensors, with their table.
            tensors: the parts of this rank.
            filename: the name of the folder.
            metadata: as for a file, with the result of `begin_shards` on `save_on_rank` as ``shards`` on all ranks.
            group: the process group of the ranks.

        Raises:
            OSError: a file cannot be written.
            RuntimeError: another rank could not write.
        """
        path, shards = self.dirname / filename, metadata["shards"]
        try:
            chunks, files = write_shards(tensors, path / shards, group)
            if not self.is_writer:
                return
            table = {name: {**entry, "chunks": chunks[name]} for name, entry in checkpoint[TABLE].items()}
            about = {**metadata, "shards": {"folder": shards, "files": files}}
            self({**checkpoint, TABLE: table}, f"{filename}/{STATE_FILE}", about)
            remove_unused_shards(path)
        finally:
            self._shared().being_written.discard(filename)

    def remove_leftovers(self, name: re.Pattern[str]) -> None:
        """Remove what saves that were cut off have left, also in folders of sharded tensors whose `name` matches.

        Call `lock` first.
        """
        remove_leftovers(self.dirname)
        for path in self.dirname.iterdir():
            if path.is_dir() and name.fullmatch(path.name) and path.name not in self._shared().being_written:
                remove_unused_shards(path)

    def recorded(self, filename: str) -> AbstractContextManager[None]:
        """Return a context manager in which the checkpoint `filename` is saved, for `overwrites`."""
        return self._written.record(filename, self.dirname) if self._may_rename else nullcontext()

    def overwrites(self, new: str, old: str) -> bool:
        """Return True if `new`, saved in the block of `recorded`, may have replaced `old` because both have one file.

        If the save of `old` was not recorded, for example because another process saved it, the result is True unless
        `new` was written to the file of that name.
        """
        return self._may_rename and self._written.is_overwritten(old, new, self.dirname)

    @property
    def _may_rename(self) -> bool:
        """True if a subclass decides where files are written."""
        return type(self).__call__ is not DiskSaver.__call__

    def next_number(self) -> int:
        """Return the number for the manifest of the next file; it is higher than the number of any file in the folder.

        Numbers order the files by age even if the clock is set back.
        """
        return self._shared().next_number()

    def lock(self) -> None:
        """Lock the folder, so that no other process saves to it while this object exists.

        Saving and `Checkpoint.resume` call this method. The operating system releases the lock when the process ends,
        also if it is killed. Where the file system does not support locks, a warning is logged once.

        Raises:
            RuntimeError: another process saves to the folder; the message has its host and process ID.
        """
        if self.is_writer:
            self._shared().lock.acquire()

    def _shared(self) -> SharedFolder:
        self._shared_folder = shared_folder(self.dirname, _rank())
        return self._shared_folder

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
