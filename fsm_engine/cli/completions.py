"""Completions of names that a user has begun to type."""

from __future__ import annotations

from collections.abc import Iterable


def completions(prefix: str, names: Iterable[str]) -> list[str]:
    """Return the names that begin with `prefix` in any case, in lower case if the prefix is."""
    cased = str.lower if prefix.islower() else str
    return [cased(name) for name in names if name.lower().startswith(prefix.lower())]
