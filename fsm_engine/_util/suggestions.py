"""Suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher, get_close_matches

_MOST_LETTERS = 80
"""Longer names are cut off, because the comparison takes quadratic time."""

_TIE = 0.05
"""A second name is suggested only if it is as similar as the first, up to this difference of difflib's ratio."""


def did_you_mean(name: str, names: Iterable[str] | Mapping[str, str]) -> str:
    """Return a sentence with the most similar name, or two of equal rank; an empty string if none is similar.

    A space is in front. Letter case is ignored. A mapping from names to texts shows the texts instead of the names.
    """
    texts = names if isinstance(names, Mapping) else {other: other for other in names}
    by_lower = {other.lower(): text for other, text in texts.items()}
    wanted = name[:_MOST_LETTERS].lower()
    matches = get_close_matches(wanted, by_lower, n=2)
    near = [other for other in matches if _ratio(wanted, matches[0]) - _ratio(wanted, other) <= _TIE]
    return f" Did you mean {' or '.join(by_lower[other] for other in near)}?" if near else ""


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, other, one).ratio()
