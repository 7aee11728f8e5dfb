"""`WarningLog`: the warnings and errors of the process, for the pages. Whatever the program prints stays as it is."""

from __future__ import annotations

import logging
import threading
import warnings
from collections import deque
from time import perf_counter_ns
from typing import Any

_MOST, _LONGEST = 200, 2000
"""The most entries that are kept, and the most characters of one."""


class WarningLog:
    """Keeps log records from the level WARNING on, and warnings of `warnings.warn`, between `open` and `close`.

    It is no handler of a logger: with a handler, `logging.basicConfig` would do nothing, records without another
    handler would no longer be printed, and loggers with ``propagate=False`` would be missing.

    Attributes:
        new: the entries since the last update of the pages, oldest first.
        last: the last entries.
    """

    def __init__(self) -> None:
        self.new: deque[dict[str, Any]] = deque(maxlen=_MOST)
        self.last: deque[dict[str, Any]] = deque(maxlen=_MOST)
        self._is_open = False
        self._showing = threading.local()

    def open(self) -> None:
        """Begin to keep entries."""
        self._is_open = True
        self._make_record, self._show_warning = logging.getLogRecordFactory(), warnings.showwarning
        self._own = self._record, self._warn  # a bound method is a new object each time
        logging.setLogRecordFactory(self._own[0])
        warnings.showwarning = self._own[1]

    def close(self) -> None:
        """Keep no more entries, and restore the functions that `open` has replaced, unless the program did since."""
        if not self._is_open:
            return
        self._is_open = False
        if logging.getLogRecordFactory() is self._own[0]:
            logging.setLogRecordFactory(self._make_record)
        if warnings.showwarning is self._own[1]:
            warnings.showwarning = self._show_warning

    def _record(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._make_record(*args, **kwargs)
        level = record.levelno
        is_shown = getattr(self._showing, "warning", False)  # `logging.captureWarnings` logs the warning
        if self._is_open and not is_shown and isinstance(level, int) and level >= logging.WARNING:
            self._keep(record.levelname, record.name, _text(record))
        return record

    def _warn(self, message: Any, category: type[Warning], filename: str, lineno: int, *rest: Any, **more: Any) -> None:
        if self._is_open:
            self._keep("WARNING", f"{filename}:{lineno}", f"{category.__name__}: {message}")
        before = getattr(self._showing, "warning", False)
        self._showing.warning = True
        try:
            self._show_warning(message, category, filename, lineno, *rest, **more)
        finally:
            self._showing.warning = before

    def _keep(self, level: str, source: str, text: str) -> None:
        row = {"time": perf_counter_ns(), "level": level, "logger": source, "text": text[:_LONGEST]}
        self.new.append(row)
        self.last.append(row)


def _text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # the arguments do not fit: the handlers of the program report that
        return str(record.msg)
