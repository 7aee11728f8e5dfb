"""Plain data, which loads without running code, and the walker over nested mappings, lists and tuples.

Plain data consists of None, bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, OrderedDict, Counter,
set, and of the tensors, parameters, sizes, dtypes and devices of torch; subclasses of these are not plain data.
``torch.load(..., weights_only=True)`` reads plain data back; types that an older torch refuses are left out.

The module does not import torch. It uses torch only if the process has imported it already.
"""

from __future__ import annotations

import copy
import io
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pickle import UnpicklingError
from typing import Any

_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})
_CONTAINERS = frozenset({list, tuple, dict, OrderedDict, Counter, set, bytearray})
_REFUSED_BY_OLDER_TORCH: tuple[Any, ...] = (1j, {1}, b"1", bytearray(b"1"), Counter("1"))

Parts = Iterable[tuple[str, Any, Any]]
"""For each part of a value: a format string for its path, the key to insert into it, and the part itself."""


def is_tensor(value: Any) -> bool:
    """Return True if `value` is a tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def items_of(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """Return the keys and items of a mapping, or the indices and items of a list or tuple; None for other values."""
    if isinstance(value, Mapping):
        return value.items()
    return enumerate(value) if isinstance(value, (list, tuple)) else None


def _item_parts(value: Any) -> Parts:
    return (("[{!r}]", key, item) for key, item in items_of(value) or ())


def find(
    predicate: Callable[[Any], bool], tree: Any, parts: Callable[[Any], Parts] = _item_parts
) -> tuple[str, Any] | None:
    """Return the first node of `tree` for which `predicate` is true, with its path, such as ``['a'][0]``.

    The nodes are `tree` itself and, recursively, the items of its mappings, lists and tuples. Returns None if
    `predicate` is true for none of them.
    """
    return _find(predicate, tree, parts, set())


def _find(
    predicate: Callable[[Any], bool], tree: Any, parts: Callable[[Any], Parts], parents: set[int]
) -> tuple[str, Any] | None:
    if predicate(tree):
        return "", tree
    if type(tree) in _ATOMS or id(tree) in parents:  # atoms first: RNG states consist of many integers
        return None
    parents.add(id(tree))
    for template, key, part in parts(tree):
        found = _find(predicate, part, parts, parents)
        if found is not None:
            return template.format(key) + found[0], found[1]
    parents.remove(id(tree))
    return None


def map_leaves(function: Callable[[Any], Any], tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """Return a copy of `tree` with ``function(leaf)`` in place of each leaf.

    Dicts, lists and tuples are copied, with the same types, and dicts with the same attributes. All other values are
    leaves, and so are containers for which `is_leaf` is true.
    """
    if is_leaf is not None and is_leaf(tree):
        return function(tree)
    if isinstance(tree, dict):
        changed = copy.copy(tree)  # a defaultdict cannot be made from its items
        for key, item in tree.items():
            changed[key] = map_leaves(function, item, is_leaf)
        return changed
    if isinstance(tree, (list, tuple)):
        items = [map_leaves(function, item, is_leaf) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return function(tree)


def find_not_plain(value: Any) -> tuple[str, Any] | None:
    """Return the first part of `value` that is not plain data, with its path; None if there is none.

    Keys of mappings, members of sets and attributes, for example of a tensor, count as parts.
    """
    return find(is_foreign, value, _all_parts)


def plain_numbers(value: Any) -> Any:
    """Return a copy of `value` with ``scalar.item()`` in place of each NumPy scalar, usually an equal Python number."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return value
    return map_leaves(lambda leaf: leaf.item() if isinstance(leaf, numpy.generic) else leaf, value, is_foreign)


def copy_plain(value: Any, copy_tensor: Callable[[Any], Any]) -> Any:
    """Return a copy of plain data, with ``copy_tensor(tensor)`` in place of each tensor.

    An object that is not plain data is shared with the copy.
    """

    def copied(leaf: Any) -> Any:
        if is_tensor(leaf):
            return copy_tensor(leaf)
        return leaf.copy() if type(leaf) in (set, bytearray) else leaf

    return map_leaves(copied, value, is_foreign)


def is_foreign(value: Any) -> bool:
    """Return True if the type of `value` is not one of the types of plain data. Parts of `value` are not checked."""
    return type(value) not in _plain_types(sys.modules.get("torch"))


def _all_parts(value: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield " (the key {!r})", key, key
            yield "[{!r}]", key, item
    elif isinstance(value, (list, tuple, set)):
        yield from (("[{!r}]", index, item) for index, item in enumerate(value))
    yield from ((".{}", name, part) for name, part in getattr(value, "__dict__", {}).items())


@cache
def _plain_types(torch: Any) -> frozenset[type]:
    if torch is None:
        return _ATOMS | _CONTAINERS
    refused = {type(sample) for sample in _REFUSED_BY_OLDER_TORCH if not _loads(torch, sample)}
    own = {torch.Tensor, torch.nn.Parameter, torch.Size, torch.dtype, torch.device}
    return (_ATOMS | _CONTAINERS | own) - refused


def _loads(torch: Any, sample: Any) -> bool:
    file = io.BytesIO()
    torch.save(sample, file)
    file.seek(0)
    try:
        torch.load(file, weights_only=True)
    except UnpicklingError:
        return False
    return True
