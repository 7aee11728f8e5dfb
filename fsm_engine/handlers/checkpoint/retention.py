"""Which checkpoints are kept, and the names of their files."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from string import Formatter
from typing import Any, NamedTuple

EXTENSION = "pt"


class Saved(NamedTuple):
    """A checkpoint that has been saved."""

    priority: float
    filename: str


class Retained(NamedTuple):
    """The checkpoints to keep, by ascending priority, and the checkpoints to remove."""

    kept: list[Saved]
    dropped: list[Saved]


def retain(saved: Sequence[Saved], new: Saved, n_saved: int | None, greater_or_equal: bool = False) -> Retained | None:
    """Return which checkpoints to keep and to remove when `new` is added; None if `new` is not good enough to be saved.

    A checkpoint with the file name of `new` is neither kept nor removed, because its file is overwritten.

    Args:
        saved: the kept checkpoints, by ascending priority.
        new: the checkpoint to add.
        n_saved: the maximum number of checkpoints; None for all.
        greater_or_equal: whether `new` replaces the lowest checkpoint if their priorities are equal.
    """
    is_full = n_saved is not None and len(saved) >= n_saved
    if is_full and not _beats(new, saved[0], greater_or_equal):
        return None
    others = [item for item in saved if item.filename != new.filename]
    excess = 0 if n_saved is None else max(len(others) + 1 - n_saved, 0)
    return Retained(by_priority([*others[excess:], new]), others[:excess])


def by_priority(items: Sequence[Saved]) -> list[Saved]:
    """Sort `items` by priority, ascending and stable; NaN sorts as minus infinity."""
    return sorted(items, key=lambda item: _rank(item.priority))


def _beats(new: Saved, lowest: Saved, greater_or_equal: bool) -> bool:
    one, other = _rank(new.priority), _rank(lowest.priority)
    return one >= other if greater_or_equal else one > other


def _rank(priority: float) -> float:
    return -math.inf if math.isnan(priority) else priority


def filename_pattern(with_prefix: bool, with_score: bool, with_score_name: bool, with_global_step: bool) -> str:
    """Return a format string for file names that has these parts.

    Raises:
        ValueError: neither a score nor a global step is wanted, or the name of a score without the score.
    """
    if not (with_score or with_global_step):
        raise ValueError(
            "At least one of with_score and with_global_step should be True. Without them, every checkpoint has the "
            "same file name."
        )
    if with_score_name and not with_score:
        raise ValueError("If with_score_name is True, with_score should be also True")
    parts = {
        "{filename_prefix}": with_prefix,
        "{name}": True,
        "{global_step}": with_global_step,
        "{score_name}={score}" if with_score_name else "{score}": with_score,
    }
    return "_".join(part for part, is_wanted in parts.items() if is_wanted) + ".{ext}"


@dataclass(frozen=True)
class FileNames:
    """The file names of one checkpoint handler.

    Attributes:
        prefix: the first part of each file name.
        score_name: the name of the score.
        is_scored: whether the handler has a score.
        pattern: a format string; None for the result of `filename_pattern`.
    """

    prefix: str
    score_name: str | None
    is_scored: bool
    pattern: str | None

    def basename(self, name: str) -> str:
        """Return the part that all file names of the object `name` start with."""
        return f"{self.prefix}_{name}" if self.prefix else name

    def filename(self, name: str, step: Any, score: float | str | None) -> str:
        """Return the name of one file. An integer score is written as it is, another number with four decimals.

        Raises:
            KeyError: the pattern has an unknown field.
        """
        if score is not None and not isinstance(score, (str, Integral)):
            score = f"{score:.4f}"
        return self._pattern(step is not None).format(**self._known(name), global_step=step, score=score)

    def matcher(self, name: str, with_step: bool) -> re.Pattern[str]:
        """Return a pattern that matches the results of `filename` for any step and score."""
        known = self._known(name)
        parts = []
        for literal, field, spec, _ in Formatter().parse(self._pattern(with_step)):
            parts.append(re.escape(literal))
            if field is not None:
                parts.append(re.escape(format(known[field], spec or "")) if field in known else "[^=]+?")
        return re.compile("".join(parts))

    def _pattern(self, with_step: bool) -> str:
        parts = (bool(self.prefix), self.is_scored, self.score_name is not None, with_step)
        return self.pattern or filename_pattern(*parts)

    def _known(self, name: str) -> dict[str, Any]:
        return {"filename_prefix": self.prefix, "name": name, "score_name": self.score_name, "ext": EXTENSION}
