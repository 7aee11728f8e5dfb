"""State dicts of the step and of the handlers that have `state_dict` and `load_state_dict`, such as schedulers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from fsm_engine._util.errors import BusyError
from fsm_engine.dispatch.event_dispatcher import EventDispatcher

_in_progress: set[int] = set()
"""The ids of the engines whose handler states are being saved or loaded."""


def handler_states(engine: EventDispatcher) -> dict[str, Any]:
    """Return the state dicts of the stateful handlers of `engine`, by class name; ``#2`` marks the second of a class.

    The stateful object is the handler itself, the object of a bound method, or the ``owner`` attribute of the handler.
    Modules and optimizers are left out, because handlers only work on them. If a handler saves `engine` as part of its
    own state, that inner state dict contains no handlers.
    """
    with _not_reentered(engine) as first:
        return {name: owner.state_dict() for name, owner in _owners(engine)} if first else {}


def step_state(engine: EventDispatcher) -> Any:
    """Return the state dict of the step, such as accumulated gradients; None if the step has none."""
    step: Any = engine._step
    return step.state_dict() if _is_stateful(step) else None


def load_step_state(engine: EventDispatcher, saved: Any) -> None:
    """Load a state that `step_state` returned into the step; log a warning if the step has no state."""
    step: Any = engine._step
    if _is_stateful(step):
        step.load_state_dict(saved)
    else:
        engine.logger.warning("The saved state of the step is ignored, because %r has no load_state_dict.", step)


def load_handler_states(engine: EventDispatcher, saved: Mapping[str, Any]) -> None:
    """Load the states that `handler_states` returned into the handlers of `engine`.

    The handlers have to be attached before, and handlers of one class in the same order. States without a handler and
    handlers without a state are logged.

    Raises:
        ValueError: the state of a handler does not fit it; the message has its name.
    """
    owners = dict(_owners(engine))
    with _not_reentered(engine) as first:
        if not first:
            return
        for name, owner in owners.items():
            if name in saved:
                _load(name, owner, saved[name])
    unused = [name for name in saved if name not in owners]
    if unused:
        engine.logger.warning(
            "The saved state of %s is ignored, because no such handler is attached. Attach handlers before loading.",
            ", ".join(unused),
        )
    fresh = [name for name in owners if name not in saved]
    if fresh:
        engine.logger.warning("No saved state for %s; it starts fresh.", ", ".join(fresh))


def _load(name: str, owner: Any, saved: Any) -> None:
    try:
        owner.load_state_dict(saved)
    except BusyError:
        raise
    except Exception as error:
        raise ValueError(
            f"The saved state of the handler {name} does not fit it: {str(error) or repr(error)}"
        ) from error


@contextmanager
def _not_reentered(engine: EventDispatcher) -> Iterator[bool]:
    """Yield False if the handlers of `engine` are already being saved or loaded."""
    first = id(engine) not in _in_progress
    _in_progress.add(id(engine))
    try:
        yield first
    finally:
        if first:
            _in_progress.remove(id(engine))


def _owners(engine: EventDispatcher) -> Iterator[tuple[str, Any]]:
    seen: dict[int, Any] = {}
    counts: dict[str, int] = {}
    for entry in engine._registry.entries.values():
        for handler_entry in entry.handlers:
            owner = _owner(handler_entry.handler)
            if owner is None or owner is engine or id(owner) in seen:
                continue
            seen[id(owner)] = owner
            name = type(owner).__name__
            counts[name] = counts.get(name, 0) + 1
            yield name if counts[name] == 1 else f"{name}#{counts[name]}", owner


def _owner(handler: Any) -> Any:
    while isinstance(handler, partial):
        handler = handler.func
    for candidate in (handler, getattr(handler, "__self__", None), getattr(handler, "owner", None)):
        if _is_stateful(candidate):
            return candidate
    return None


def _is_stateful(candidate: Any) -> bool:
    if not (hasattr(candidate, "state_dict") and hasattr(candidate, "load_state_dict")):
        return False
    torch = sys.modules.get("torch")
    return torch is None or not isinstance(candidate, (type, torch.nn.Module, torch.optim.Optimizer))
