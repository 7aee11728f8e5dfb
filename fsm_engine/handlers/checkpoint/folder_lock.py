"""`FolderLock`: a lock that keeps other processes from saving checkpoints to the same folder."""

from __future__ import annotations

import errno
import logging
import os
import platform
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

_logger = logging.getLogger(__name__)
_REFUSED_WRITE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOSPC, errno.EDQUOT)
"""Errors of a folder in which no file can be created; saving a checkpoint raises them as well."""

_without_locks: set[Path] = set()
"""The lock files on file systems that do not support locks, which were reported."""


class FolderLock:
    """A lock of a folder for this process, by a file in the folder.

    The operating system releases the lock when the process ends, however it ends. The file is removed when the lock is
    released; a file that a killed process left has no effect.

    Args:
        folder: the folder.
        rank: the rank of this process in a distributed run. Processes of different ranks may lock the same folder,
            because each saves its own files.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self._path = folder / (f".fsm_engine-{rank}.lock" if rank else ".fsm_engine.lock")
        self._lock: Any = None

    def acquire(self) -> None:
        """Acquire the lock, unless this process has it already.

        Where the file system does not support locks, this method logs a warning once and returns.

        Raises:
            RuntimeError: another process has the lock; the message has its host and process ID.
        """
        if self._lock is None and self._path not in _without_locks and self._path.parent.is_dir():
            self._lock = self._acquired()

    def _acquired(self) -> Any:
        from filelock import FileLock, Timeout  # here, because it installs hooks for forks and audits of the process

        lock = FileLock(self._path, timeout=0, thread_local=False, fallback_to_soft=False, on_acquired=_write_owner)
        try:
            lock.acquire()
        except Timeout:
            raise RuntimeError(
                f"{self._path.parent} is in use: {_owner(self._path)} saves checkpoints there, and the processes would "
                f"overwrite each other's files. Stop that process, or give this one another folder. To load a "
                f"checkpoint without saving, call Checkpoint.load_objects(to_load, path)."
            ) from None
        except (OSError, NotImplementedError) as error:
            if getattr(error, "errno", None) in _REFUSED_WRITE and not self._path.exists():
                return None
            _without_locks.add(self._path)
            _logger.warning(
                "%s cannot be locked (%s). Let no other process save checkpoints there.", self._path.parent, error
            )
            return None
        weakref.finalize(self, _release, lock, self._path, os.getpid())
        return lock


def _write_owner(file: int) -> None:
    with suppress(OSError):  # on a full disk, the lock has no owner's name
        os.ftruncate(file, 0)
        os.write(file, f"process {os.getpid()} on {platform.node()}".encode())


def _owner(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(errors="replace") or "another process"
    return "another process"


def _release(lock: Any, path: Path, process: int) -> None:
    if os.getpid() == process:  # else this process is forked, and the lock belongs to its parent
        with suppress(OSError):  # Windows does not remove an open file
            path.unlink()
        lock.release()
