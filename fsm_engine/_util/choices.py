"""Values that users choose by name, such as a theme, or by the suffix of a file."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def choose(argument: str, name: str, choices: Mapping[str, T]) -> T:
    """Return the choice called `name`, which was passed as `argument`.

    Raises:
        ValueError: no choice has that name; the message lists the legal names.
    """
    if name not in choices:
        raise ValueError(f"{argument}={name!r} must be one of {', '.join(map(repr, choices))}.")
    return choices[name]


def suffix_of(path: str | os.PathLike[str], suffixes: Collection[str]) -> str:
    """Return the one of `suffixes`, such as ``.json.gz``, in which the name of `path` ends, in upper or lower case.

    Raises:
        ValueError: the name ends in none of them; the message lists the legal ones.
    """
    name = Path(path).name
    found = next((suffix for suffix in suffixes if name.lower().endswith(suffix)), None)
    if found is None:
        problem = f"ends in {Path(name).suffix}" if Path(name).suffix else "has no suffix"
        raise ValueError(f"{name!r} {problem}. Use one of {', '.join(suffixes)}.")
    return found
