"""`JointResume`: all ranks load the file that one of them chooses, or none does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fsm_engine._util.errors import BusyError
from fsm_engine.distributed.meeting import Meeting, MeetingError, in_words
from fsm_engine.handlers.checkpoint.rank_states import WorldSizeError
from fsm_engine.handlers.checkpoint.resume import (
    CheckpointFile,
    load_file,
    none_is_valid,
    reason_of,
    saved_in,
    warn_of_other_versions,
)
from fsm_engine.handlers.checkpoint.retention import Saved

Load = Callable[[Any, Mapping[str, Any], Callable[[], None]], None]


class JointResume:
    """The search of all ranks for the newest valid file.

    The rank `lead` chooses the newest file that is valid on it. The others read the file of that name in their folder,
    which is the same folder or has a copy of the file. All ranks load it, or all raise an error. If a rank cannot load
    its part of sharded tensors, all ranks skip the checkpoint.

    Args:
        meeting: the meeting of the ranks.
        lead: the rank that chooses.
        folder: the folder of this rank.
        find_files: returns the files in the folder, newest first.
        load: called with the content and the manifest of a file, and a function that it calls when nothing can fail any
            more; that function raises an exception if another rank has failed.
        logger: the logger for warnings.
    """

    def __init__(
        self,
        meeting: Meeting,
        lead: int,
        folder: Path,
        find_files: Callable[[], Sequence[CheckpointFile]],
        load: Load,
        logger: logging.Logger,
    ) -> None:
        self._meeting, self._lead, self._folder = meeting, lead, folder
        self._find_files, self._load, self._logger = find_files, load, logger
        self._files: Sequence[CheckpointFile] | None = None
        self._reasons: dict[Path, str] = {}
        self._content: tuple[Any, Mapping[str, Any]] | None = None  # of the file that this rank has chosen
        self._what = "resume from a checkpoint"

    def run(self) -> tuple[Path, list[Saved]] | None:
        """Load the file, and return its path and the entries of all files; None if there are no files.

        Raises:
            RuntimeError: no file is valid on `lead`, or another rank cannot load the file.
            WorldSizeError: the file was saved by another number of ranks.
        """
        while True:
            choice = self._meeting.tell(self._lead, self._what, self._choose)
            if choice is None:
                self._check_that_no_rank_has_files()
                return None
            path = self._folder / choice["name"]
            errors = self._load_everywhere(path, choice["sha256"])
            if not errors:
                return path, [Saved(*item) for item in choice["saved"]]
            if self._lead not in errors and not choice["is_sharded"]:
                raise MeetingError(
                    f"no rank resumes from {choice['name']}, because some cannot load it: {in_words(errors)}. Give all "
                    f"ranks a folder that they share, or copy the file to the folder of each machine."
                )
            self._skip(path, errors.get(self._lead) or in_words(errors))

    def _choose(self) -> dict[str, Any] | None:
        """Return the newest file that this rank can read; None if there are no files."""
        if self._files is None:
            self._files = self._find_files()
        for file in self._files:
            if file.path in self._reasons:
                continue
            try:
                self._content = load_file(file.path)
            except Exception as error:
                self._skip(file.path, reason_of(error))
            else:
                warn_of_other_versions(file, self._logger)
                saved = [tuple(item) for item in saved_in(self._files, self._reasons)]
                manifest = self._content[1]
                about = {"sha256": manifest["sha256"], "is_sharded": "shards" in manifest}
                return {"name": file.path.name, "saved": saved, **about}
        if self._reasons:
            raise none_is_valid(self._reasons)
        return None

    def _skip(self, path: Path, reason: str) -> None:
        self._reasons[path] = reason
        if self._meeting.rank == self._lead:
            self._logger.warning("%s is skipped: %s.", path, reason.rstrip("."))

    def _load_everywhere(self, path: Path, sha256: str) -> Mapping[int, str]:
        """Load a file on all ranks, and return the errors by rank. If there are any, no object has changed."""
        errors: Mapping[int, str] | None = None

        def confirm() -> None:
            nonlocal errors
            errors = self._meeting.errors(self._lead, self._what, None)
            if errors:
                raise MeetingError

        try:
            (content, manifest), self._content = self._content or load_file(path), None
            if manifest["sha256"] != sha256:
                raise ValueError(f"{path} is another file than rank {self._lead} has under this name")
            self._load(content, manifest, confirm)
        except WorldSizeError as error:
            self._meeting.errors(self._lead, self._what, error)
            raise WorldSizeError(f"{path}: {error}") from None
        except BusyError as error:
            self._meeting.errors(self._lead, self._what, error)
            raise
        except Exception as error:
            if errors is None:
                errors = self._meeting.errors(self._lead, self._what, error)
        return errors or {}

    def _check_that_no_rank_has_files(self) -> None:
        error = None
        if self._meeting.rank != self._lead and (files := self._find_files()):
            error = FileExistsError(f"{files[0].path} exists")
        errors = self._meeting.errors(self._lead, self._what, error)
        if errors:
            raise MeetingError(
                f"rank {self._lead} has no checkpoint to resume from, but other ranks have: {in_words(errors)}. Give "
                f"all ranks a folder that they share, or move the files away to start from the beginning."
            )
