"""Names that a reader takes for each other, or a typist makes of each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations

_ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "_": ""})
_LONG = 5
"""Letters that a word has at least for one more, less, or other to be a mistake: ``D_STEP`` and ``G_STEP`` are none."""


def confusable(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of different names that look alike, or are one letter apart, in the order of `names`.

    It takes as long as there are letters: only names that are the same without one letter each are compared.
    """
    order = {name: number for number, name in enumerate(dict.fromkeys(names))}
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in order:
        for key in {_looks(name), *_without_a_letter(name)}:
            groups[key].append(name)
    near = {pair for group in groups.values() for pair in combinations(group, 2) if _are_confusable(*pair)}
    yield from sorted(near, key=lambda pair: (order[pair[1]], order[pair[0]]))


def _looks(name: str) -> str:
    return name.lower().translate(_ALIKE)


def _without_a_letter(name: str) -> Iterator[str]:
    yield name
    for place, letter in enumerate(name):
        if letter.isalpha():
            yield name[:place] + name[place + 1 :]


def _are_confusable(one: str, other: str) -> bool:
    if _looks(one) == _looks(other):
        return True
    words, others = one.split("_"), other.split("_")
    differ = [pair for pair in zip(words, others) if pair[0] != pair[1]]
    if len(words) != len(others) or len(differ) != 1 or min(map(len, differ[0])) < _LONG:
        return False
    return _one_mistake(*differ[0])


def _one_mistake(one: str, other: str) -> bool:
    """Say whether a letter more, less, or other, or two that have changed places, make one word of the other."""
    start = next((n for n, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
    one, other = one[start:], other[start:]
    if one[1:] == other[1:]:
        return (one[:1] + other[:1]).isalpha()
    return one[1:] == other or one == other[1:] or (one[:2] == other[1::-1] and one[2:] == other[2:])
