"""The objects of a checkpoint: a tree of mappings and lists whose leaves have a state dict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.nn.parallel import DataParallel, DistributedDataParallel

from fsm_engine._util.plain_data import find, find_not_plain, items_of, map_leaves
from fsm_engine.engine.engine import Engine
from fsm_engine.handlers.weak_engine import WeakEngine


def check_objects(objects: Any, method: str, argument: str) -> None:
    """Check that `objects` is a mapping, and that each leaf has this method.

    Raises:
        TypeError: it is none, or one has not.
    """
    if not isinstance(objects, Mapping):
        raise TypeError(f"Argument `{argument}` should be a dictionary, but given {type(objects)}")
    found = find(lambda node: items_of(node) is None and not hasattr(node, method), objects)
    if found is not None:
        raise TypeError(f"Object {type(found[1])} should have `{method}` method. It is {argument}{found[0]}.")


def check_plain(checkpoint: Any) -> None:
    """Check that ``torch.load(..., weights_only=True)`` will take `checkpoint`.

    Raises:
        TypeError: for anything else in it; the message has its place and its type.
    """
    found = find_not_plain(checkpoint)
    if found is not None:
        place, value = found
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise TypeError(
            f"checkpoint{place} is a {kind}: {value!r:.80}. A checkpoint holds only tensors and plain data (numbers, "
            f"strings, None, lists, tuples, dicts), because loading anything else may run code. Let state_dict() give "
            f"a number of numpy as .item(), an array as torch.from_numpy(array), an object as its own state_dict()."
        )


def kept(objects: Any) -> Any:
    """Return the tree as a checkpoint keeps it: engines weakly. From then on they resume exactly."""
    if isinstance(objects, Mapping):
        return {key: kept(part) for key, part in objects.items()}
    return map_leaves(_kept, objects)


def given(objects: Any) -> Any:
    """Return the tree that `kept` was given.

    Raises:
        ReferenceError: an engine in it does not exist any more.
    """
    return map_leaves(_given, objects)


def engines(objects: Any) -> list[Engine]:
    """Return the engines in the tree."""
    found: list[Engine] = []
    map_leaves(lambda leaf: found.append(leaf) if isinstance(leaf, Engine) else None, objects)
    return found


def state_dicts(objects: Any) -> Any:
    """Return the tree with the state dict of every leaf."""
    return map_leaves(lambda leaf: _unwrapped(leaf).state_dict(), objects)


def load_all(objects: Mapping[str, Any], states: Any, **module_kwargs: Any) -> None:
    """Let every leaf load its part of `states`, after a look whether each has one.

    Args:
        objects: the tree; if it has one object only, `states` may be its state itself.
        states: what `state_dicts` returned.
        **module_kwargs: for ``load_state_dict`` of modules.

    Raises:
        ValueError: a part is missing; nothing was loaded.
        Exception: what ``load_state_dict`` raises.
    """
    if len(objects) == 1:
        ((name, only),) = objects.items()
        if not isinstance(states, Mapping) or name not in states:
            objects, states = {name: only}, {name: states}
    for leaf, state in list(_pairs(objects, states)):
        kwargs = module_kwargs if isinstance(leaf, torch.nn.Module) else {}
        _unwrapped(leaf).load_state_dict(state, **kwargs)


def _pairs(objects: Any, states: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(objects, Mapping):
        for key, part in objects.items():
            if not isinstance(states, Mapping) or key not in states:
                there = list(states) if isinstance(states, Mapping) else type(states)
                raise ValueError(f"Key '{key}' from to_load is not found in the checkpoint: {there}")
            yield from _pairs(part, states[key])
    elif isinstance(objects, (list, tuple)):
        if not isinstance(states, (list, tuple)) or len(states) != len(objects):
            found = f"one of {len(states)}" if isinstance(states, (list, tuple)) else f"{type(states)}"
            raise ValueError(f"to_load has a list of {len(objects)} objects where the checkpoint has {found}.")
        for part, state in zip(objects, states):
            yield from _pairs(part, state)
    else:
        yield objects, states


def _kept(leaf: Any) -> Any:
    if isinstance(leaf, Mapping):
        return kept(leaf)
    if not isinstance(leaf, Engine):
        return leaf
    leaf.resumes_exactly = True
    return WeakEngine(leaf)


def _given(leaf: Any) -> Any:
    if not isinstance(leaf, WeakEngine):
        return leaf
    engine = leaf()
    if engine is None:
        raise ReferenceError(
            "an engine in `to_save` does not exist any more, and a checkpoint does not keep it. Keep a reference to it."
        )
    return engine


def _unwrapped(leaf: Any) -> Any:
    return leaf.module if isinstance(leaf, (DataParallel, DistributedDataParallel)) else leaf
