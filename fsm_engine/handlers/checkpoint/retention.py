"""Which checkpoints are kept: those with the highest priorities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Saved(NamedTuple):
    """A checkpoint that was written."""

    priority: float
    filename: str


class Kept(NamedTuple):
    """What is kept when a checkpoint is added: all of them by rising priority, and those to be removed."""

    saved: list[Saved]
    dropped: list[Saved]


def kept_with(saved: Sequence[Saved], new: Saved, n_saved: int | None, greater_or_equal: bool = False) -> Kept | None:
    """Return what is kept with `new`, or None if it is not good enough to be written.

    One with the same file name is replaced, and is not among those to be removed: its file is written over.

    Args:
        saved: those that are kept so far, by rising priority.
        new: the one to add.
        n_saved: how many are kept at most; None for all.
        greater_or_equal: whether `new` may have the priority of the lowest one.
    """
    is_full = n_saved is not None and len(saved) >= n_saved
    if is_full and not _beats(new, saved[0], greater_or_equal):
        return None
    others = [item for item in saved if item.filename != new.filename]
    excess = 0 if n_saved is None else max(len(others) + 1 - n_saved, 0)
    return Kept(by_priority([*others[excess:], new]), others[:excess])


def by_priority(items: Sequence[Saved]) -> list[Saved]:
    """Return `items` by rising priority, those of the same one as they were; what is no number comes first."""
    return sorted(items, key=lambda item: _rank(item.priority))


def _beats(new: Saved, lowest: Saved, greater_or_equal: bool) -> bool:
    one, other = _rank(new.priority), _rank(lowest.priority)
    return one >= other if greater_or_equal else one > other


def _rank(priority: float) -> float:
    return -math.inf if math.isnan(priority) else priority
