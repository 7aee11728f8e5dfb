"""Text of anyone's in Markdown, so that it shows as it is and changes nothing around it."""

from __future__ import annotations

import re

_SPECIAL = re.compile(
    r"[\\`*|<~$]"
    r"|&(?=[#A-Za-z])"  # else no entity
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"  # within a word it is plain
    r"|\[(?=\^)|\](?=[(\[:])"  # of footnotes and links
)


def escape(text: str) -> str:
    """Return `text` on one line, for a cell of a table or any other place inside a line."""
    return _SPECIAL.sub(_entity, " ".join(text.split()))


def code_span(text: str) -> str:
    """Return `text` as code, or escaped where a table would not take it as code."""
    line = " ".join(text.split())
    return f"`{line}`" if line and not re.search(r"[\\`|]", line) else escape(line)


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match.group())};"
