"""`LinkedOrder`: keys in an order, inserted and removed anywhere in constant time."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class LinkedOrder(Generic[K]):
    """A doubly linked list of different keys. None is not a key: it stands for the place before the first one."""

    def __init__(self, keys: Iterable[K] = ()) -> None:
        self._next: dict[K | None, K | None] = {None: None}
        self._previous: dict[K | None, K | None] = {None: None}
        for key in keys:
            self.insert(key, self.last)

    @property
    def last(self) -> K | None:
        """The last key, or None without keys."""
        return self._previous[None]

    def previous(self, key: K) -> K | None:
        """Return the key before `key`, or None for the first one."""
        return self._previous[key]

    def insert(self, key: K, after: K | None) -> None:
        """Insert `key`, which is not in the order yet, after the key `after`."""
        following = self._next[after]
        self._next[after] = self._previous[following] = key
        self._previous[key], self._next[key] = after, following

    def remove(self, key: K) -> None:
        """Remove `key`."""
        before, following = self._previous.pop(key), self._next.pop(key)
        self._next[before], self._previous[following] = following, before

    def __iter__(self) -> Iterator[K]:
        key = self._next[None]
        while key is not None:
            yield key
            key = self._next[key]
