"""`load_state_dicts`: load the objects of a checkpoint, all or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from fsm_engine._util.errors import BusyError
from fsm_engine.handlers.checkpoint import optimizer_checks
from fsm_engine.handlers.checkpoint.checkpoint_objects import name_of
from fsm_engine.handlers.checkpoint.module_wrappers import unwrapped, with_prefixes_of
from fsm_engine.handlers.checkpoint.sharded_tensors import has_sharded_values, is_sharded, read_into
from fsm_engine.handlers.checkpoint.snapshots import has_standard_loading, snapshot


@dataclass(frozen=True, eq=False)
class _Load:
    """An object and the state to load into it, with the class of the saved object if it is known."""

    path: str
    target: Any
    state: Any
    saved_class: str | None
    kwargs: Mapping[str, Any]


def load_state_dicts(
    objects: Mapping[str, Any],
    states: Any,
    classes: Mapping[str, str] | None = None,
    confirm: Callable[[], None] | None = None,
    /,
    **module_kwargs: Any,
) -> None:
    """Load each object's state dict, or change no object.

    Everything that can be checked is checked first. Then objects whose load may still fail are loaded, and get their
    states back if one of them fails; modules that fit exactly are loaded last.

    Args:
        objects: the objects; for a single object, `states` may be its state dict itself.
        states: the result of `state_dicts`.
        classes: the result of `class_names` for the saved objects, if it is known.
        confirm: called when nothing can fail any more. If it raises an exception, no object is changed.
        **module_kwargs: arguments of ``load_state_dict`` of modules, such as ``strict=False``.

    Raises:
        ValueError: a state dict is missing.
        RuntimeError: a state dict does not fit its object; the message has the name of the object and the difference.
        BusyError: an engine is running.
    """
    classes = classes or {}
    if len(objects) == 1 and not (isinstance(states, Mapping) and objects.keys() <= states.keys()):
        name = name_of(objects)
        states = {name: states}
        classes = {f"[{name!r}]": saved for saved in classes.values()} if len(classes) == 1 else {}
    loads = [_load_of(path, leaf, state, classes, module_kwargs) for path, leaf, state in _pairs(objects, states, "")]
    loads = _with_sharded_tensors(loads)
    for load in loads:
        try:
            reason = _difference(load)
        except Exception as error:  # the state is not as torch makes it
            raise _error(load, repr(error)) from error
        if reason is not None:
            raise _error(load, reason)
    exact = [load for load in loads if _is_exact(load)]
    restores = []
    try:
        for load in loads:
            if load not in exact:
                restores.append(snapshot(load.target))
                _run(load)
        if confirm is not None:
            confirm()
        for load in exact:
            _run(load)
    except BaseException:
        for restore in reversed(restores):
            restore()
        raise


def _pairs(objects: Any, states: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield the path, the object and the state dict of each object.

    Raises:
        ValueError: a state dict is missing.
    """
    if isinstance(objects, Mapping):
        for key, part in objects.items():
            if not isinstance(states, Mapping) or key not in states:
                found = list(states) if isinstance(states, Mapping) else type(states)
                raise ValueError(f"Key '{key}' from to_load{path} is not found in the checkpoint: {found}")
            yield from _pairs(part, states[key], f"{path}[{key!r}]")
    elif isinstance(objects, (list, tuple)):
        if not isinstance(states, (list, tuple)) or len(states) != len(objects):
            length = f"one of {len(states)}" if isinstance(states, (list, tuple)) else f"{type(states)}"
            raise ValueError(f"to_load{path} has a list of {len(objects)} objects where the checkpoint has {length}.")
        for number, (part, state) in enumerate(zip(objects, states)):
            yield from _pairs(part, state, f"{path}[{number}]")
    else:
        yield path, objects, states


def _load_of(path: str, leaf: Any, state: Any, classes: Mapping[str, str], module_kwargs: Mapping[str, Any]) -> _Load:
    target = unwrapped(leaf)
    if isinstance(target, nn.Module):
        return _Load(path, target, with_prefixes_of(target, state), None, module_kwargs)
    return _Load(path, target, state, classes.get(path), {})


def _with_sharded_tensors(loads: list[_Load]) -> list[_Load]:
    """Return the loads with tensors that are divided among ranks like the tensors of the objects."""
    owns = [_own_tensors(load) if has_sharded_values(load.state) else None for load in loads]
    states = read_into([(load.state, own) for load, own in zip(loads, owns)])
    return [replace(load, state=state) for load, state in zip(loads, states)]


def _own_tensors(load: _Load) -> Any:
    """Return the tensors of an object in the places that they have in its state; parameters for an optimizer."""
    target = load.target
    if not has_standard_loading(target):
        return target.state_dict()
    own = [parameter for group in target.param_groups for parameter in group["params"]]
    saved = [index for group in load.state["param_groups"] for index in group["params"]]
    return {"state": dict(zip(saved, own))}


def _difference(load: _Load) -> str | None:
    """Return why a state does not fit its object, as far as that can be known without loading it.

    Classes are compared only if both are torch's own: users may rename theirs, or wrap an optimizer.
    """
    target, state = load.target, load.state
    own_class = type(target).__name__
    for module in (torch.optim, lr_scheduler):
        if load.saved_class != own_class and hasattr(module, own_class) and hasattr(module, load.saved_class or ""):
            return f"it was saved from {load.saved_class}"
    if has_standard_loading(target):
        return optimizer_checks.difference(target, state)
    if isinstance(target, LRScheduler) and isinstance(state, Mapping):
        own = target.state_dict().keys()
        missing, unknown = own - state.keys(), state.keys() - own
        if missing and unknown:  # a scheduler of another version of torch has more keys, or fewer
            return f"it has no {', '.join(sorted(missing))}, but {', '.join(sorted(unknown))}"
    return None


def _is_exact(load: _Load) -> bool:
    """Return True if the object is a module whose load cannot fail: each weight is there and has the same shape."""
    module, state = load.target, load.state
    if not isinstance(module, nn.Module) or not isinstance(state, Mapping) or _has_own_loading(module):
        return False
    own = module.state_dict()
    return own.keys() == state.keys() and all(_is_same_kind(value, state[key]) for key, value in own.items())


def _has_own_loading(module: nn.Module) -> bool:
    """Return True if `module` or a part of it may load its state in a way of its own."""
    return type(module).load_state_dict is not nn.Module.load_state_dict or any(
        any(map(_is_own_hook, (*one._load_state_dict_pre_hooks.values(), *one._load_state_dict_post_hooks.values())))
        or not type(one)._load_from_state_dict.__module__.startswith("torch.")
        for one in module.modules()
    )


def _is_own_hook(hook: Any) -> bool:
    """Return True for a hook of the user. Hooks of `torch.distributed.fsdp.fully_shard` load nothing."""
    function = getattr(hook, "hook", hook)
    return not getattr(function, "__module__", "").startswith("torch.distributed.fsdp.")


def _is_same_kind(own: Any, saved: Any) -> bool:
    both = (own, saved)
    return (
        all(isinstance(value, torch.Tensor) and not nn.parameter.is_lazy(value) for value in both)
        and all(value.layout == torch.strided and not value.is_meta for value in both)
        and own.shape == saved.shape
        and is_sharded(own) == is_sharded(saved)
    )


def _run(load: _Load) -> None:
    target = load.target
    required = optimizer_checks.required_options(target) if has_standard_loading(target) else set()
    try:
        target.load_state_dict(load.state, **load.kwargs)
    except BusyError:
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, (RuntimeError, ValueError, TypeError)) else repr(error)
        raise _error(load, " ".join(reason.split())) from error
    missing = optimizer_checks.missing_options(target, required) if required else None
    if missing is not None:
        raise _error(load, missing)


def _error(load: _Load, reason: str) -> RuntimeError:
    name = f"to_load{load.path} ({type(load.target).__name__})"
    return RuntimeError(f"The checkpoint does not fit {name}: {reason.rstrip('.')}. No object was changed.")
