"""`CSVLogger` and `JSONLinesLogger`: files of whole lines, without anything to install."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from time import time
from typing import Any, ClassVar

from fsm_engine._util.atomic_files import write_whole
from fsm_engine.loggers.base import BaseLogger


class _LinesLogger(BaseLogger):
    """Appends to a file, which is closed when a run ends and opened again by what is logged after that.

    What is logged together is handed to the operating system at once and in one piece: there is nothing to flush, a
    process that dies loses nothing, and whoever reads meanwhile sees whole lines.
    """

    takes_text: ClassVar[bool] = True
    header: ClassVar[bytes] = b""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: io.FileIO | None = None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._append(self._beginning())
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_file": None}

    def _beginning(self) -> bytes:
        """Return what is missing before the first line of ours."""
        if not self.path.exists() or not self.path.stat().st_size:
            return self.header
        with self.path.open("rb") as file:
            first = file.read(len(self.header))
            file.seek(-1, os.SEEK_END)
            last = file.read()
        if first != self.header:
            raise ValueError(
                f"{self.path} is there, and is no file of {type(self).__name__}: its first line is not "
                f"{self.header.decode().strip()!r}. Nothing was written. Name another file."
            )
        return b"" if last == b"\n" else b"\n"  # the end of a line is missing where a disk was full

    def log_values(self, values: Mapping[str, Any], step: int) -> None:
        """Append numbers and strings."""
        self._append(self._lines(values, step).encode())

    @abstractmethod
    def _lines(self, values: Mapping[str, Any], step: int) -> str:
        """Return these as whole lines."""

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._file = io.FileIO(self.path, "a")
        while data:
            data = data[self._file.write(data) :]

    def _log_picture(self, svg: Path, name: str, /) -> None:
        write_whole(self.path.with_name(f"{self.path.stem}.{name}.svg"), svg.read_bytes())

    def flush(self) -> None:
        """Close the file; there is nothing to flush. It is opened again when something is logged."""
        self.close()

    def close(self) -> None:
        """Close the file. It is opened again when something is logged."""
        if self._file is not None:
            self._file.close()
            self._file = None


class CSVLogger(_LinesLogger):
    """Appends a line for each number to a CSV file, with the columns step, name, value and time.

    ``pandas.read_csv(path).pivot_table(index="step", columns="name", values="value")`` has a column for each name.
    What is logged together is handed to the operating system at once, in one piece. So a process that dies loses
    nothing, and whoever reads meanwhile sees whole lines. A picture of a lifecycle is put beside it, into
    ``<file>.lifecycle.svg``.

    Args:
        path: the file; its folder is made. What a file that is there holds is kept.

    Raises:
        ValueError: a file that is there, with other columns.
        OSError: it cannot be written.
    """

    header = b"step,name,value,time\n"

    def _lines(self, values: Mapping[str, Any], step: int) -> str:
        text, now = io.StringIO(), time()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerows((step, name, value, f"{now:.3f}") for name, value in values.items())
        return text.getvalue()


class JSONLinesLogger(_LinesLogger):
    """Appends a line for each logging event to a file: ``{"step": 1, "time": 1.7e9, "lr/group_0": 0.1}``.

    ``pandas.read_json(path, lines=True)`` reads it. NaN and infinity, which JSON has no numbers for, are the strings
    that `float` reads. What is logged together is handed to the operating system at once, in one piece. So a process
    that dies loses nothing, and whoever reads meanwhile sees whole lines. A picture of a lifecycle is put beside it,
    into ``<file>.lifecycle.svg``.

    Args:
        path: the file; its folder is made. What a file that is there holds is kept.

    Raises:
        OSError: it cannot be written.
    """

    def log_values(self, values: Mapping[str, Any], step: int) -> None:
        """Append numbers and strings.

        Raises:
            ValueError: one of them is called step or time.
        """
        taken = [name for name in ("step", "time") if name in values]
        if taken:
            raise ValueError(f"{taken[0]!r} is a key that each line has already. Log that value under another name.")
        super().log_values(values, step)

    def _lines(self, values: Mapping[str, Any], step: int) -> str:
        named = {name: _jsonable(value) for name, value in values.items()}
        return json.dumps({"step": step, "time": round(time(), 3), **named}, allow_nan=False) + "\n"


def _jsonable(value: Any) -> Any:
    """Return `value` as something that JSON has."""
    if hasattr(value, "item"):  # a number of numpy's
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (int, float, str)) else float(value)
