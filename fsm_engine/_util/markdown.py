"""Escape text for Markdown, so that it is shown literally and does not change the formatting around it."""

from __future__ import annotations

import re

_SPECIAL = re.compile(
    r"[\\`*|<~$]"
    r"|&(?=[#A-Za-z])"  # otherwise it does not start an entity
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"  # inside a word it does not start emphasis
    r"|\[(?=\^)|\](?=[(\[:])"  # footnotes and links
)


def escape(text: str) -> str:
    """Return `text` escaped and on one line, for a table cell or any other place inside a line."""
    return _SPECIAL.sub(_entity, " ".join(text.split()))


def code_span(text: str) -> str:
    """Return `text` as a code span; if a table cannot show it as code, return it escaped."""
    line = " ".join(text.split())
    return f"`{line}`" if line and not re.search(r"[\\`|]", line) else escape(line)


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match.group())};"
