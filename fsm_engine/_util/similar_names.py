"""Find pairs of names that are easily mistaken for each other, or differ by one typing error."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations, zip_longest

_ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "_": ""})
_MIN_LENGTH = 5
"""Length from which on words that differ by one typing error are similar: ``D_STEP`` and ``G_STEP`` are not."""


def similar_names(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of different names that look alike or differ by one typing error, in the order of `names`.

    Only names that share a spelling with at most one letter removed are compared, not every pair.
    """
    order = {name: number for number, name in enumerate(dict.fromkeys(names))}
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in order:
        shortened = {name[:index] + name[index + 1 :] for index, letter in enumerate(name) if letter.isalpha()}
        for key in {_appearance(name), name, *shortened}:
            groups[key].append(name)
    similar = {pair for group in groups.values() for pair in combinations(group, 2) if _are_similar(*pair)}
    yield from sorted(similar, key=lambda pair: (order[pair[1]], order[pair[0]]))


def _appearance(name: str) -> str:
    return name.lower().translate(_ALIKE)


def _are_similar(one: str, other: str) -> bool:
    if _appearance(one) == _appearance(other):
        return True
    words = zip_longest(one.split("_"), other.split("_"), fillvalue="")
    different = [pair for pair in words if pair[0] != pair[1]]
    return len(different) == 1 and min(map(len, different[0])) >= _MIN_LENGTH and _is_one_typo(*different[0])


def _is_one_typo(one: str, other: str) -> bool:
    """Return True if inserting, deleting or replacing one letter, or swapping two, turns `one` into `other`."""
    start = next((n for n, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
    one, other = one[start:], other[start:]
    if one[1:] == other[1:]:
        return (one[:1] + other[:1]).isalpha()
    return one[1:] == other or one == other[1:] or (one[:2] == other[1::-1] and one[2:] == other[2:])
