"""Modules inside wrappers, such as `torch.compile` and `DataParallel`, which put a prefix before the keys of weights.

A checkpoint of a wrapped module has to load into the module itself, and the other way round.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

_COMPILED = "_orig_mod"
_PARALLEL = "module"
_Path = tuple[str, ...]
"""The parts of the name of a parameter, a buffer or a module."""


def unwrapped(leaf: Any) -> Any:
    """Return the module inside the wrappers of `leaf`; any other object as it is."""
    while (name := _name_of_wrapped(leaf)) is not None:
        leaf = getattr(leaf, name)
    return leaf


def with_prefixes_of(module: nn.Module, state: Any) -> Any:
    """Return the state dict of a module with the keys that `module` has, where only prefixes differ.

    Both may have prefixes anywhere in their keys, because a part of a module may be wrapped, too. Keys without a
    counterpart in `module` are left as they are.
    """
    own = list(module.state_dict()) if isinstance(state, Mapping) else []
    if not own or state.keys() == set(own) or not all(isinstance(key, str) for key in state):
        return state
    matches = [
        (match, read, read_own) for read, read_own in _readings(module) if (match := _match(read, state, read_own, own))
    ]
    if not matches:
        return state
    counterparts, read, read_own = max(matches, key=lambda found: len(found[0]))
    renamed = OrderedDict((counterparts.get(key, key), value) for key, value in state.items())
    metadata = getattr(state, "_metadata", None)  # the versions of the modules, which torch looks up by name
    if metadata is not None:
        # A wrapper and the module in it are read as the same name. The longer one, which comes last, is the module.
        versions = {read(_path(name)): metadata[name] for name in sorted(metadata, key=len)}
        names = [name for name, _ in module.named_modules()]
        found = {name: versions[path] for name in names if (path := read_own(_path(name))) in versions}
        renamed._metadata = OrderedDict(found)  # type: ignore[attr-defined]
    return renamed


def _readings(module: nn.Module) -> Iterator[tuple[Callable[[_Path], _Path], Callable[[_Path], _Path]]]:
    """Yield ways to remove prefixes from the names in a state dict and from the names in `module`.

    The wrappers in `module` are known. In a state dict, "module" may also be a name that a user chose.
    """
    inner = {(*_path(name), part) for name, one in module.named_modules() if (part := _name_of_wrapped(one))}

    def read_own(path: _Path) -> _Path:
        return tuple(part for end, part in enumerate(path, start=1) if path[:end] not in inner)

    yield _without_compiled, read_own
    yield lambda path: _without_first(_without_compiled(path)), read_own
    yield _without_all, _without_all


def _match(
    read: Callable[[_Path], _Path], state: Mapping[str, Any], read_own: Callable[[_Path], _Path], own: list[str]
) -> dict[str, str]:
    """Return the own key for each key of a state dict that is read as the same name; empty if any are ambiguous."""
    own_by_path = {read_own(_path(key)): key for key in own}
    paths = {key: read(_path(key)) for key in state}
    if len(own_by_path) < len(own) or len(set(paths.values())) < len(paths):
        return {}
    return {key: own_by_path[path] for key, path in paths.items() if path in own_by_path}


def _name_of_wrapped(leaf: Any) -> str | None:
    """Return the name under which a wrapper has its module; None for an object that is not a wrapper."""
    if isinstance(leaf, (DataParallel, DistributedDataParallel)):
        return _PARALLEL
    return _COMPILED if isinstance(leaf, nn.Module) and _COMPILED in leaf._modules else None


def _path(name: str) -> _Path:
    return tuple(name.split(".")) if name else ()


def _without_compiled(path: _Path) -> _Path:
    return tuple(part for part in path if part != _COMPILED)


def _without_first(path: _Path) -> _Path:
    return path[1:] if path[:1] == (_PARALLEL,) else path


def _without_all(path: _Path) -> _Path:
    return tuple(part for part in path if part not in (_COMPILED, _PARALLEL))
