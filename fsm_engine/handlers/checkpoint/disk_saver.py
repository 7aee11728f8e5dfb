"""`DiskSaver`: writes checkpoints into a folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch

from fsm_engine.handlers.checkpoint.checksummed_file import write_sealed
from fsm_engine.handlers.checkpoint.files import remove_leftovers, writing_durably
from fsm_engine.handlers.checkpoint.names import EXTENSION

_FACTS = ("basename", "score_name", "priority", "global_step", "keys", "iteration", "epoch")


class BaseSaveHandler(ABC):
    """What a `Checkpoint` hands its checkpoints to."""

    @abstractmethod
    def __call__(self, checkpoint: Any, filename: str, metadata: Mapping[str, Any] | None = None) -> None:
        """Save `checkpoint` under this name; `metadata` has its basename, score_name and priority."""

    @abstractmethod
    def remove(self, filename: str) -> None:
        """Remove the checkpoint of this name."""


class DiskSaver(BaseSaveHandler):
    """Writes each checkpoint to a file in a folder, with `torch.save`.

    A file is written under another name beside its place, brought to the disk, and then put there, so that it is there
    whole or not at all, whenever the process is killed or the machine fails. What killed processes left of that is
    removed when a saver is made. At the end of each file is a manifest: versions, size, SHA-256, and from a
    `Checkpoint` what it holds. Whatever reads files of torch reads these, too.

    In a distributed run, only one process writes.

    Args:
        dirname: the folder.
        atomic: whether files are written beside their place first; otherwise a failure leaves a part of one.
        create_dir: whether the folder is made if it is not there.
        require_empty: whether checkpoints that are there already are an error. A job that goes on where it was killed
            finds some: give False.
        save_on_rank: the rank of the process that writes.
        **kwargs: for `torch.save`; ``_use_new_zipfile_serialization=False`` writes its format from before the zip
            archives.

    Attributes:
        dirname: the folder, as a path.

    Raises:
        ValueError: the folder is not there; there are checkpoints in it.
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
        """Whether this process is the one that writes."""
        return _rank() == self.save_on_rank

    def __call__(self, checkpoint: Any, filename: str, metadata: Mapping[str, Any] | None = None) -> None:
        """Write `checkpoint`; when this returns, it is on the disk.

        Raises:
            OSError: it cannot be written; unless `atomic` is False, nothing is left of it.
            Exception: what `torch.save` raises.
        """
        if not self.is_writer:
            return
        path = self.dirname / filename
        facts = {name: metadata[name] for name in _FACTS if name in metadata} if metadata else {}
        try:
            with writing_durably(path) if self._atomic else _writing_in_place(path) as file:
                write_sealed(checkpoint, file, facts, **self._kwargs)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror or error}; the checkpoint was not saved", str(path)) from error

    def remove(self, filename: str) -> None:
        """Remove a file; nothing happens if it is gone already."""
        if self.is_writer:
            (self.dirname / filename).unlink(missing_ok=True)

    def _prepare(self, create_dir: bool, require_empty: bool) -> None:
        if create_dir:
            self.dirname.mkdir(parents=True, exist_ok=True)
        if not self.dirname.is_dir():
            raise ValueError(f"Directory path '{self.dirname}' is not found. Make it first, or give create_dir=True.")
        there = sorted(path.name for path in self.dirname.iterdir() if path.suffix == f".{EXTENSION}")
        if require_empty and there:
            raise ValueError(
                f"Files {there} with extension '.{EXTENSION}' are already present in the directory {self.dirname}. "
                f"If you want to use this directory anyway, such as to resume(), pass `require_empty=False`."
            )
        remove_leftovers(self.dirname)


@contextmanager
def _writing_in_place(path: Path) -> Iterator[IO[bytes]]:
    with path.open("wb+") as file:
        yield file


def _rank() -> int:
    distributed = torch.distributed
    return distributed.get_rank() if distributed.is_available() and distributed.is_initialized() else 0
