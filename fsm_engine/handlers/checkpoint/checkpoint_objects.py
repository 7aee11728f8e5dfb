"""The objects of a checkpoint: nested mappings and lists whose leaves have ``state_dict`` and ``load_state_dict``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from fsm_engine._util.plain_data import find, find_not_plain, items_of, map_leaves
from fsm_engine.engine.engine import Engine
from fsm_engine.handlers.checkpoint.module_wrappers import unwrapped
from fsm_engine.handlers.weak_engine import WeakEngine


def check_objects(objects: Any, method: str, argument: str) -> None:
    """Check that `objects` is a mapping, and that each leaf is an object that has this method.

    Raises:
        TypeError: `objects` is not a mapping, or a leaf is a class or does not have the method.
    """
    if not isinstance(objects, Mapping):
        raise TypeError(f"Argument `{argument}` should be a dictionary, but given {type(objects)}")
    found = find(lambda node: items_of(node) is None and not hasattr(node, method), objects)
    if found is not None:
        path, leaf = found
        raise TypeError(f"Object {type(leaf)} should have `{method}` method. It is {argument}{path}.")
    found = find(lambda node: isinstance(node, type), objects)
    if found is not None:
        path, leaf = found
        raise TypeError(f"{argument}{path} is the class {leaf.__name__}. Give an object: {leaf.__name__}(...).")


def name_of(objects: Mapping[str, Any]) -> str:
    """Return the name of a checkpoint of `objects` in file names: the name of a single object, or "checkpoint"."""
    return next(iter(objects)) if len(objects) == 1 else "checkpoint"


def with_weak_engines(objects: Any) -> Any:
    """Return a copy of `objects` that does not keep its engines alive, and let these engines resume exactly."""
    if isinstance(objects, Mapping):
        return {key: with_weak_engines(part) for key, part in objects.items()}
    return map_leaves(_weak, objects)


def with_engines(objects: Any) -> Any:
    """Return the objects that `with_weak_engines` was called with.

    Raises:
        ReferenceError: an engine does not exist any more.
    """
    return map_leaves(_strong, objects)


def engines_in(objects: Any) -> list[Engine]:
    """Return the engines among `objects`."""
    leaves: list[Any] = []
    map_leaves(leaves.append, objects)
    return [leaf for leaf in leaves if isinstance(leaf, Engine)]


def state_dicts(objects: Any) -> Any:
    """Return a copy of `objects` with the state dict of each leaf, or of the module inside a wrapper, in its place."""
    return map_leaves(lambda leaf: unwrapped(leaf).state_dict(), objects)


def check_joint(objects: Any) -> None:
    """Check that the state dicts of `objects` can be collected by each rank alone.

    Raises:
        TypeError: a module is a `torch.distributed.fsdp.FullyShardedDataParallel`, whose state dict needs all ranks.
    """
    module = sys.modules.get("torch.distributed.fsdp")
    for path, leaf in _leaves(objects, ""):
        parts = leaf.modules() if module is not None and isinstance(leaf, nn.Module) else ()
        if any(isinstance(part, module.FullyShardedDataParallel) for part in parts):  # type: ignore[union-attr]
            raise TypeError(
                f"to_save{path} has a FullyShardedDataParallel, whose state_dict() communicates with the other ranks. "
                f"Use its successor: torch.distributed.fsdp.fully_shard(model)."
            )


def check_plain(checkpoint: Any) -> None:
    """Check that ``torch.load(..., weights_only=True)`` can load `checkpoint`.

    Raises:
        TypeError: a part of `checkpoint` is not plain data; the message has its path and its type.
    """
    found = find_not_plain(checkpoint)
    if found is not None:
        path, value = found
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise TypeError(
            f"checkpoint{path} is a {kind}: {value!r:.80}. A checkpoint holds only tensors and plain data (numbers, "
            f"strings, None, lists, tuples, dicts), because loading anything else may run code. Let state_dict() "
            f"return a NumPy number as number.item(), an array as torch.from_numpy(array), and an object as its own "
            f"state_dict()."
        )


def class_names(objects: Any) -> dict[str, str]:
    """Return the name of the class of each leaf, or of the module inside a wrapper, by the path of the leaf."""
    return {path: type(unwrapped(leaf)).__name__ for path, leaf in _leaves(objects, "")}


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    items = items_of(node)
    if items is None:
        yield path, node
        return
    for key, part in items:
        yield from _leaves(part, f"{path}[{key!r}]")


def _weak(leaf: Any) -> Any:
    if isinstance(leaf, Mapping):  # other than a dict
        return with_weak_engines(leaf)
    if not isinstance(leaf, Engine):
        return leaf
    leaf.resumes_exactly = True
    return WeakEngine(leaf)


def _strong(leaf: Any) -> Any:
    if not isinstance(leaf, WeakEngine):
        return leaf
    engine = leaf()
    if engine is None:
        raise ReferenceError(
            "an engine in `to_save` does not exist any more, because a checkpoint does not keep it alive. Keep a "
            "reference to it."
        )
    return engine
