"""`SharedFolder`: the lock of a folder and the numbers of the saves in it, for all handlers of this process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from fsm_engine.handlers.checkpoint.checksummed_file import BadFileError, read_manifest
from fsm_engine.handlers.checkpoint.folder_lock import FolderLock
from fsm_engine.handlers.checkpoint.shards import state_file

_folders: WeakValueDictionary[tuple[int, Path], SharedFolder] = WeakValueDictionary()


class SharedFolder:
    """A folder that one or several checkpoint handlers of this process save to; `shared_folder` returns it.

    Attributes:
        path: the path of the folder.
        lock: the lock of the folder, released when nobody refers to this object any more.
        being_written: the names of checkpoints of sharded tensors that a handler of this process writes.
    """

    def __init__(self, path: Path, rank: int) -> None:
        self.path = path
        self.lock = FolderLock(path, rank)
        self.being_written: set[str] = set()
        self._guard = Lock()
        self._last_number: int | None = None

    def next_number(self) -> int:
        """Return the number of the next save, which is higher than the number of any file in the folder.

        The first call reads the manifests of all files in the folder.
        """
        with self._guard:
            if self._last_number is None:
                self._last_number = _highest_number(self.path)
            self._last_number += 1
            return self._last_number


def shared_folder(path: Path, rank: int) -> SharedFolder:
    """Return the `SharedFolder` of this process for a path. It exists as long as somebody refers to it.

    Args:
        path: the path of the folder.
        rank: the rank of this process in a distributed run.
    """
    key = os.getpid(), path.resolve()  # a forked process gets its own
    folder = _folders.get(key)
    if folder is None:
        _folders[key] = folder = SharedFolder(key[1], rank)
    return folder


def number_of(manifest: Mapping[str, Any]) -> int:
    """Return the number of the save that a manifest belongs to; 0 if it has none."""
    number = manifest.get("save_number")
    return number if isinstance(number, int) else 0


def _highest_number(folder: Path) -> int:
    highest = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(BadFileError, OSError):
            if state_file(path).is_file():  # opening a pipe would wait for its other end
                highest = max(highest, number_of(read_manifest(state_file(path), verify=False)))
    return highest
