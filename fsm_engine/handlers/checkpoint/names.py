"""How the files of checkpoints are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from numbers import Integral
from string import Formatter
from typing import Any

EXTENSION = "pt"


def pattern_of(with_prefix: bool, with_score: bool, with_score_name: bool, with_global_step: bool) -> str:
    """Return the pattern for `str.format` that has these parts.

    Raises:
        ValueError: neither score nor global step; the name of a score without the score.
    """
    if not (with_score or with_global_step):
        raise ValueError(
            "At least one of with_score and with_global_step should be True. Without either, each file would be "
            "written over the one before."
        )
    if with_score_name and not with_score:
        raise ValueError("If with_score_name is True, with_score should be also True")
    score = ("{score_name}={score}" if with_score_name else "{score}") if with_score else None
    parts = (
        "{filename_prefix}" if with_prefix else None,
        "{name}",
        "{global_step}" if with_global_step else None,
        score,
    )
    return "_".join(part for part in parts if part) + ".{ext}"


def score_text(score: float | None) -> str | None:
    """Return `score` as it stands in a file name: an integer as it is, other numbers with four decimals."""
    return None if score is None else str(score) if isinstance(score, Integral) else f"{score:.4f}"


@dataclass(frozen=True)
class FileNames:
    """The names of the files of one checkpoint handler.

    Attributes:
        prefix: how they begin.
        score_name: the name of the score.
        is_scored: whether there is a score.
        pattern: for `str.format`; that of `pattern_of` unless given.
    """

    prefix: str
    score_name: str | None
    is_scored: bool
    pattern: str | None

    def basename(self, name: str) -> str:
        """Return what the names of the checkpoints of `name` have in common."""
        return f"{self.prefix}_{name}" if self.prefix else name

    def make(self, name: str, step: Any, score: float | str | None) -> str:
        """Return the name of one file.

        Raises:
            KeyError: the pattern has a part that is not known.
        """
        text = score if isinstance(score, str) else score_text(score)
        return self._pattern(step is not None).format(**self._known(name), global_step=step, score=text)

    def matcher(self, name: str, with_step: bool) -> re.Pattern[str]:
        """Return what matches the names that `make` gives, whatever the step and the score are."""
        known = self._known(name)
        parts = []
        for literal, field, spec, _ in Formatter().parse(self._pattern(with_step)):
            parts.append(re.escape(literal))
            if field is not None:
                parts.append(re.escape(format(known[field], spec or "")) if field in known else "[^=]+?")
        return re.compile("".join(parts))

    def _pattern(self, with_step: bool) -> str:
        return self.pattern or pattern_of(bool(self.prefix), self.is_scored, self.score_name is not None, with_step)

    def _known(self, name: str) -> dict[str, Any]:
        return {"filename_prefix": self.prefix, "name": name, "score_name": self.score_name, "ext": EXTENSION}
