"""Suggestions for misspelt names and completions for names that a user has begun to type."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a sentence with up to two similar names, with a space in front; an empty string if none is similar."""
    by_lower = {other.lower(): other for other in names}
    similar = [by_lower[match] for match in get_close_matches(name.lower(), by_lower, n=2)]
    return f" Did you mean {' or '.join(similar)}?" if similar else ""


def completions(prefix: str, names: Iterable[str]) -> list[str]:
    """Return the names that begin with `prefix` in any case, in lower case if the prefix is."""
    cased = str.lower if prefix.islower() else str
    return [cased(name) for name in names if name.lower().startswith(prefix.lower())]
