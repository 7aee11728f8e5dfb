"""Bars drawn by tqdm."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from fsm_engine._util.extras import import_extra
from fsm_engine.handlers.progress_bar.backend import DRAWS_PER_SECOND, BarContent


class TqdmBackend:
    """Opens bars of tqdm, and its widgets in a notebook; see `Backend`."""

    def __init__(self, persist: bool, options: dict[str, Any]) -> None:
        self.persist = persist
        self.interval = max(1 / DRAWS_PER_SECOND, options.get("mininterval", 0))
        # The caller limits the draws, so tqdm draws on every call.
        self._options = {**options, "leave": persist, "mininterval": 0, "miniters": 1}
        self._tqdm = _tqdm()

    def open(self, content: BarContent) -> _TqdmBar:
        """Draw a new bar below the open bars."""
        bar = self._tqdm(
            desc=f"{content.description}: ",
            initial=content.n,
            total=content.total,
            postfix=content.text_of_values(self._format),
            **self._options,
        )
        return _TqdmBar(bar, self._format)

    def _format(self, value: Any) -> str:
        return value if isinstance(value, str) else self._tqdm.format_num(value)

    def write(self, message: str) -> None:
        """Print a line above the open bars."""
        self._tqdm.write(message, file=self._options.get("file"))


class _TqdmBar:
    def __init__(self, bar: Any, format_value: Callable[[Any], str]) -> None:
        self._bar, self._format = bar, format_value

    def update(self, content: BarContent) -> None:
        self._set(content)
        progress = content.n - self._bar.n
        if progress > 0:
            self._bar.update(progress)
        else:
            self._bar.refresh()

    def close(self, content: BarContent) -> None:
        self._set(content)
        self._bar.n = content.n
        self._bar.close()

    def _set(self, content: BarContent) -> None:
        self._bar.total = content.total
        self._bar.set_description(content.description, refresh=False)
        self._bar.set_postfix_str(content.text_of_values(self._format), refresh=False)


def _tqdm() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in a notebook, tqdm warns that autonotebook is experimental
        module = import_extra("tqdm.autonotebook", "progress", "This submodule requires tqdm to be installed")
    return module.tqdm
