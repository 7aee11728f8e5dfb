"""Bars drawn by rich."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from fsm_engine.handlers._bars import Shown
from fsm_engine.loggers.extras import needed

_DRAWN: dict[int, Any] = {}
"""What draws all open bars of a file, by the file's id: rich has one display for each."""


class RichBars:
    """Makes bars with rich; see `Bars`. Where the output is no terminal, only bars that stay are printed."""

    def __init__(self, persist: bool, interval: float, file: Any = None, console: Any = None) -> None:
        self.persist, self.interval = persist, interval
        rich = needed("rich.console", "progress", "ProgressBar(backend='rich') needs rich")
        self._console = console or rich.Console(file=file)

    def open(self, shown: Shown) -> _RichBar:
        """Draw a new bar below the open ones."""
        key = id(self._console.file)
        progress = _DRAWN.get(key)
        if progress is None:
            progress = _DRAWN[key] = _progress(self._console)
            if self._console.is_terminal or self._console.is_jupyter:
                progress.start()
        return _RichBar(progress, key, shown, self.persist)

    def write(self, message: str) -> None:
        """Print a line above the bars."""
        progress = _DRAWN.get(id(self._console.file))
        console = self._console if progress is None else progress.console
        console.print(message, markup=False, highlight=False)


class _RichBar:
    def __init__(self, progress: Any, key: int, shown: Shown, persist: bool) -> None:
        self._progress, self._key, self._persist = progress, key, persist
        self._task = progress.add_task(**_fields(shown))
        progress.refresh()

    def show(self, shown: Shown) -> None:
        self._progress.update(self._task, refresh=True, **_fields(shown))

    def close(self, shown: Shown) -> None:
        progress = self._progress
        progress.update(self._task, **_fields(shown))
        if self._persist:
            progress.console.print(progress.make_tasks_table([t for t in progress.tasks if t.id == self._task]))
        progress.remove_task(self._task)
        progress.refresh()
        if not progress.tasks:
            del _DRAWN[self._key]
            if progress.live.is_started:
                progress.stop()


def _progress(console: Any) -> Any:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[values]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("<"),
        TimeRemainingColumn(),
        console=console,
        auto_refresh=False,
        transient=True,
    )


def _fields(shown: Shown) -> dict[str, Any]:
    values = ", ".join(f"{name}={_text(value)}" for name, value in shown.values.items())
    return {"description": shown.description, "completed": shown.n, "total": shown.total, "values": values}


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, Real) and not isinstance(value, Integral) else str(value)
