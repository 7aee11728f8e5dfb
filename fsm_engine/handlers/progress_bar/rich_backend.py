"""Bars drawn by rich."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from fsm_engine._util.extras import import_extra
from fsm_engine.handlers.progress_bar.backend import DRAWS_PER_SECOND, BarContent

_DISPLAYS: dict[int, Any] = {}
"""The `rich.progress.Progress` that draws all open bars of a file, by the id of the file.

Two of them on one file would overwrite each other.
"""


class RichBackend:
    """Opens bars of rich; see `Backend`. If the output is not a terminal, it prints only bars that stay."""

    interval = 1 / DRAWS_PER_SECOND

    def __init__(self, persist: bool, file: Any = None, console: Any = None) -> None:
        self.persist = persist
        rich = import_extra("rich.console", "progress", "ProgressBar(backend='rich') needs rich")
        self._console = console or rich.Console(file=file)

    def open(self, content: BarContent) -> _RichBar:
        """Draw a new bar below the open bars."""
        key = id(self._console.file)
        display = _DISPLAYS.get(key)
        if display is None:
            display = _DISPLAYS[key] = _new_display(self._console)
            if self._console.is_terminal or self._console.is_jupyter:
                display.start()
        return _RichBar(display, key, content, self.persist)

    def write(self, message: str) -> None:
        """Print a line above the open bars."""
        display = _DISPLAYS.get(id(self._console.file))
        console = self._console if display is None else display.console
        console.print(message, markup=False, highlight=False)


class _RichBar:
    def __init__(self, display: Any, key: int, content: BarContent, persist: bool) -> None:
        self._display, self._key, self._persist = display, key, persist
        self._task = display.add_task(**_fields(content))
        display.refresh()

    def update(self, content: BarContent) -> None:
        self._display.update(self._task, refresh=True, **_fields(content))

    def close(self, content: BarContent) -> None:
        display = self._display
        display.update(self._task, **_fields(content))
        if self._persist:
            display.console.print(display.make_tasks_table([t for t in display.tasks if t.id == self._task]))
        display.remove_task(self._task)
        display.refresh()
        if not display.tasks:
            del _DISPLAYS[self._key]
            if display.live.is_started:
                display.stop()


def _new_display(console: Any) -> Any:
    from rich import progress

    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[values]}", markup=False),
        progress.TimeElapsedColumn(),
        progress.TextColumn("<"),
        progress.TimeRemainingColumn(),
        console=console,
        auto_refresh=False,
        transient=True,
    )


def _fields(content: BarContent) -> dict[str, Any]:
    values = content.text_of_values(_format)
    return {"description": content.description, "completed": content.n, "total": content.total, "values": values}


def _format(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, Real) and not isinstance(value, Integral) else str(value)
