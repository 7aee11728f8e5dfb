"""Numbers and foreign strings as text for a terminal."""

from __future__ import annotations

import re
from typing import Any

from rich.text import Text

_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_KEEPS_LINES = ("traceback",)


def clean(value: Any, key: str = "") -> Any:
    """Return a message in which no string contains control characters, so that none can steer the terminal.

    Line breaks are kept in tracebacks, and are spaces elsewhere.
    """
    if isinstance(value, str):
        value = value.replace("\t", "    ")
        return _CONTROLS.sub("\ufffd", value if key in _KEEPS_LINES else value.replace("\n", " "))
    if isinstance(value, list):
        return [clean(item, key) for item in value]
    if isinstance(value, dict):
        return {clean(name): clean(item, name) for name, item in value.items()}
    return value


def count_text(number: float | None) -> str:
    """Return a count, such as ``12,345``; a dash for None."""
    if number is None:
        return "-"
    return f"{number:,}" if number < 10_000_000 else f"{number / 1e6:,.1f}M"


def number_text(value: Any) -> str:
    """Return a number with four digits; other values as text."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def fitted(line: Text, width: int) -> Text:
    """Return a copy of `line` that is exactly `width` columns wide, with an ellipsis where it was cut."""
    line = line.copy()
    line.no_wrap = True
    line.truncate(max(width, 0), overflow="ellipsis", pad=True)
    return line


def spread(left: Text, right: Text, width: int) -> Text:
    """Return a line with `left` at its left end and `right` at its right end; `left` is cut if both do not fit."""
    return Text.assemble(fitted(left, width - right.cell_len), right)
