"""`CSVLogger` and `JSONLinesLogger`: text files with one record per line, written with the standard library."""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import os
from abc import abstractmethod
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from time import time
from typing import Any, ClassVar

from fsm_engine import distributed
from fsm_engine._util.atomic_files import write_atomically
from fsm_engine._util.state_dicts import check_keys
from fsm_engine.loggers.base import BaseLogger

_logger = logging.getLogger(__name__)
_CHECKED_BYTES = 4096


class _LineLogger(BaseLogger):
    """Base class of loggers that append lines to a file.

    All lines of one `log_values` call are written without a buffer, in one system call if the system takes them whole.
    So there is nothing to flush: `flush` closes the file when a run ends, and the next `log_values` opens it again.

    The state of a logger is its position in the file. An engine that resumes exactly saves it, because the logger's
    `flush` is attached to the engine. After a state was loaded, the next call of `log_values` or `flush` removes the
    lines behind the position: the resumed run logs them again. Loading itself changes no file, so that it can be
    undone.
    """

    takes_text: ClassVar[bool] = True
    header: ClassVar[bytes] = b""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: io.FileIO | None = None
        self._surplus: tuple[int, int, str] | None = None
        if distributed.get_rank() != 0:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._append(self._opening_bytes())
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_file": None}

    def _opening_bytes(self) -> bytes:
        """Return the header for a new file; for an existing one, the line break that its last line may lack."""
        if not self.path.exists() or not self.path.stat().st_size:
            return self.header
        with self.path.open("rb") as file:
            first = file.read(len(self.header))
            file.seek(-1, os.SEEK_END)
            last = file.read()
        if first != self.header:
            raise ValueError(
                f"{self.path} exists and is not a file of {type(self).__name__}: its first line is not "
                f"{self.header.decode().strip()!r}. Nothing was written. Choose another path."
            )
        return b"" if last == b"\n" else b"\n"  # a line is incomplete if the disk was full

    def log_values(self, values: Mapping[str, Any], step: int) -> None:
        """Append numbers and strings."""
        self._append(self._lines(values, step).encode())

    @abstractmethod
    def _lines(self, values: Mapping[str, Any], step: int) -> str:
        """Return `values` as text that ends with a line break."""

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the file, with a checksum of the lines before it."""
        position = self._surplus[0] if self._surplus is not None else self._size()
        return {"position": position, "checksum": self._checksum(position)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Let the next `log_values` or `flush` remove the lines that were written after `state_dict` returned this.

        If the file is another one, for example because it was moved away, all lines are kept.

        Raises:
            TypeError: `state_dict` is not a mapping.
            ValueError: a key is missing.
        """
        check_keys(state_dict, ["position", "checksum"])
        position, size = state_dict["position"], self._size()
        self._surplus = None
        if position >= size:
            return
        if self._checksum(position) == state_dict["checksum"]:
            self._surplus = position, size, self._checksum(size)
        else:
            _logger.warning(
                "%s is not the file that the loaded state was saved with, so all of its lines are kept.", self.path
            )

    def _remove_surplus(self) -> None:
        """Remove the lines that the resumed run logs again, unless another logger of the file has removed them."""
        if self._surplus is None:
            return
        position, size, checksum = self._surplus
        self._surplus = None
        if distributed.get_rank() == 0 and self._size() == size and self._checksum(size) == checksum:
            os.truncate(self.path, position)

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _checksum(self, end: int) -> str:
        """Return the SHA-256 of the last bytes before a position; lines have times, so they are hardly ever equal."""
        if not end:
            return ""
        with self.path.open("rb") as file:
            start = max(end - _CHECKED_BYTES, 0)
            file.seek(start)
            return sha256(file.read(end - start)).hexdigest()

    def _append(self, data: bytes) -> None:
        if distributed.get_rank() != 0:
            return
        self._remove_surplus()
        if self._file is None:
            self._file = io.FileIO(self.path, "a")
        while data:
            data = data[self._file.write(data) :]

    def _log_picture(self, svg: Path, name: str, /) -> None:
        write_atomically(self.path.with_name(f"{self.path.stem}.{name}.svg"), svg.read_bytes())

    def flush(self) -> None:
        """Close the file. Nothing is buffered, and the next `log_values` opens the file again."""
        self._remove_surplus()
        self.close()

    def close(self) -> None:
        """Close the file. The next `log_values` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None


class CSVLogger(_LineLogger):
    """Logger that appends a line for each value to a CSV file, with the columns step, name, value and time.

    ``pandas.read_csv(path).pivot_table(index="step", columns="name", values="value")`` has one column per name. The
    time is in seconds since the epoch. Lines are written without a buffer, so a process that crashes loses none. A
    picture of the lifecycle is saved beside the file, as ``<stem>.lifecycle.svg``.

    A run that resumes from a checkpoint of an engine that the logger is attached to removes the lines that were written
    after that checkpoint, and logs them again. So each line is there once, also if the process was killed. The lines of
    a run that was killed before its first checkpoint stay.

    Args:
        path: path of the file. Missing folders are created; an existing file is continued.

    Raises:
        ValueError: the file exists and has other columns. It stays unchanged.
        OSError: the file cannot be written.

    Example:
        >>> with CSVLogger(folder / "run.csv") as logger:
        ...     logger.log_values({"loss": 0.5, "lr": 0.1}, step=1)
        >>> [line.rsplit(",", 1)[0] for line in logger.path.read_text().splitlines()]  # without the time
        ['step,name,value', '1,loss,0.5', '1,lr,0.1']
    """

    header = b"step,name,value,time\n"

    def _lines(self, values: Mapping[str, Any], step: int) -> str:
        text, now = io.StringIO(), time()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerows((step, name, value, f"{now:.3f}") for name, value in values.items())
        return text.getvalue()


class JSONLinesLogger(_LineLogger):
    """Logger that appends a JSON object for each `log_values` call: ``{"step": 1, "time": 1.7e9, "lr/group_0": 0.1}``.

    ``pandas.read_json(path, lines=True)`` reads the file. The time is in seconds since the epoch. NaN and infinity,
    which JSON does not have, are written as the strings ``"nan"``, ``"inf"`` and ``"-inf"``. Lines are written without
    a buffer, so a process that crashes loses none. A run that resumes from a checkpoint keeps each line once, as with
    `CSVLogger`. A picture of the lifecycle is saved beside the file, as ``<stem>.lifecycle.svg``.

    Args:
        path: path of the file. Missing folders are created; an existing file is continued.

    Raises:
        OSError: the file cannot be written.

    Example:
        >>> with JSONLinesLogger(folder / "run.jsonl") as logger:
        ...     logger.log_values({"loss": 0.5, "lr": 0.1}, step=1)
        >>> record = json.loads(logger.path.read_text())
        >>> record["step"], record["loss"], record["lr"]
        (1, 0.5, 0.1)
    """

    def log_values(self, values: Mapping[str, Any], step: int) -> None:
        """Append numbers and strings.

        Raises:
            ValueError: a value has the name ``step`` or ``time``.
        """
        taken = [name for name in ("step", "time") if name in values]
        if taken:
            raise ValueError(f"{taken[0]!r} is a key that every line has already. Log the value under another name.")
        super().log_values(values, step)

    def _lines(self, values: Mapping[str, Any], step: int) -> str:
        named = {name: _as_json(value) for name, value in values.items()}
        return json.dumps({"step": step, "time": round(time(), 3), **named}, allow_nan=False) + "\n"


def _as_json(value: Any) -> Any:
    """Return `value` as a number or string that JSON can represent."""
    if hasattr(value, "item"):  # a scalar of NumPy
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (int, float, str)) else float(value)
