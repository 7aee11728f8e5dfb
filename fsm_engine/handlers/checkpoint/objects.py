"""The objects of a checkpoint: a tree of mappings and lists whose leaves have a state dict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.nn.parallel import DataParallel, DistributedDataParallel

from fsm_engine.engine.engine import Engine
from fsm_engine.handlers.weak_engine import WeakEngine


def check_objects(objects: Any, method: str, argument: str) -> None:
    """Check that `objects` is a mapping, and that each leaf has this method.

    Raises:
        TypeError: it is none, or one has not.
    """
    if not isinstance(objects, Mapping):
        raise TypeError(f"Argument `{argument}` should be a dictionary, but given {type(objects)}")
    for place, leaf in leaves(objects, argument):
        if not hasattr(leaf, method):
            raise TypeError(f"Object {type(leaf)} should have `{method}` method. It is {place}.")


def leaves(objects: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Give every leaf, and where it is."""
    if isinstance(objects, Mapping):
        for key, part in objects.items():
            yield from leaves(part, f"{place}[{key!r}]")
    elif isinstance(objects, list):
        for number, part in enumerate(objects):
            yield from leaves(part, f"{place}[{number}]")
    else:
        yield place, objects


def mapped(change: Callable[[Any], Any], objects: Any) -> Any:
    """Return a tree with `change` of every leaf."""
    if isinstance(objects, Mapping):
        return {key: mapped(change, part) for key, part in objects.items()}
    if isinstance(objects, list):
        return [mapped(change, part) for part in objects]
    return change(objects)


def kept(objects: Mapping[str, Any]) -> Any:
    """Return the tree as a checkpoint keeps it: engines weakly. From then on they resume exactly."""
    return mapped(_kept, objects)


def given(objects: Any) -> Any:
    """Return the tree that `kept` was given.

    Raises:
        ReferenceError: an engine in it does not exist any more.
    """
    return mapped(_given, objects)


def engines(objects: Any) -> list[Engine]:
    """Return the engines in the tree."""
    return [leaf for _, leaf in leaves(objects) if isinstance(leaf, Engine)]


def state_dicts(objects: Any) -> Any:
    """Return the tree with the state dict of every leaf."""
    return mapped(lambda leaf: _unwrapped(leaf).state_dict(), objects)


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
    elif isinstance(objects, list):
        if not isinstance(states, list) or len(states) != len(objects):
            found = f"one of {len(states)}" if isinstance(states, list) else f"{type(states)}"
            raise ValueError(f"to_load has a list of {len(objects)} objects where the checkpoint has {found}.")
        for part, state in zip(objects, states):
            yield from _pairs(part, state)
    else:
        yield objects, states


def _kept(leaf: Any) -> Any:
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
