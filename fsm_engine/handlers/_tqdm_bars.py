"""Bars drawn by tqdm."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from fsm_engine.handlers._bars import Shown
from fsm_engine.loggers.extras import needed


class TqdmBars:
    """Makes bars with tqdm; in a notebook, with its widgets. See `Bars`."""

    def __init__(self, persist: bool, interval: float, options: dict[str, Any]) -> None:
        self.persist = persist
        self.interval = max(interval, options.get("mininterval", 0))
        # When to draw is not decided by tqdm.
        self._options = {**options, "leave": persist, "mininterval": 0, "miniters": 1}
        self._tqdm = _tqdm()

    def open(self, shown: Shown) -> _TqdmBar:
        """Draw a new bar."""
        given = {"desc": f"{shown.description}: ", "initial": shown.n, "total": shown.total}
        return _TqdmBar(self._tqdm(**given, postfix=self._text(shown), **self._options), self._text)

    def _text(self, shown: Shown) -> str:
        number = self._tqdm.format_num
        return ", ".join(
            f"{name}={value if isinstance(value, str) else number(value)}" for name, value in shown.values.items()
        )

    def write(self, message: str) -> None:
        """Print a line above the bars."""
        self._tqdm.write(message, file=self._options.get("file"))


class _TqdmBar:
    def __init__(self, bar: Any, text: Callable[[Shown], str]) -> None:
        self._bar, self._text = bar, text

    def show(self, shown: Shown) -> None:
        self._take(shown)
        done = shown.n - self._bar.n
        if done > 0:
            self._bar.update(done)
        else:
            self._bar.refresh()

    def close(self, shown: Shown) -> None:
        self._take(shown)
        self._bar.n = shown.n
        self._bar.close()

    def _take(self, shown: Shown) -> None:
        self._bar.total = shown.total
        self._bar.set_description(shown.description, refresh=False)
        self._bar.set_postfix_str(self._text(shown), refresh=False)


def _tqdm() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in a notebook it says that it is experimental
        module = needed("tqdm.autonotebook", "progress", "This submodule requires tqdm to be installed")
    return module.tqdm
