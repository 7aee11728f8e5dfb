"""The state of the handlers of an engine: of those with `state_dict` and `load_state_dict`, as schedulers have them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from fsm_engine.dispatch.event_dispatcher import EventDispatcher

_asked: set[int] = set()


def handler_states(engine: EventDispatcher) -> dict[str, Any]:
    """Return the state of each stateful handler of `engine`, by the name of its class; of a second one, ``#2`` added.

    A handler is stateful itself, or the object that it is a method of is, or what it has as ``owner``. Modules and
    optimizers are left out: they are no handlers, but what handlers work on. In a state dict of `engine` that a handler
    has in its own there are none.
    """
    with _not_reentered(engine) as first:
        return {name: owner.state_dict() for name, owner in _owners(engine)} if first else {}


def step_state(engine: EventDispatcher) -> Any:
    """Return the state of the step, such as gradients that the optimizer has not seen yet; None if it has none."""
    step: Any = engine._process_function
    return step.state_dict() if _is_stateful(step) else None


def load_step_state(engine: EventDispatcher, given: Any) -> None:
    """Give the step what `state_of_step` returned."""
    step: Any = engine._process_function
    if _is_stateful(step):
        step.load_state_dict(given)
    else:
        engine.logger.warning("The state that is loaded holds that of a step, and %r takes none.", step)


def load_handler_states(engine: EventDispatcher, given: Mapping[str, Any]) -> None:
    """Give the handlers of `engine` the states that `handler_states` returned.

    Handlers have to be attached by then, those of a class in the same order. The log tells of states that no handler
    takes, and of handlers that none is there for.
    """
    owners = dict(_owners(engine))
    with _not_reentered(engine) as first:
        if not first:
            return
        for name, owner in owners.items():
            if name in given:
                owner.load_state_dict(given[name])
    lost = [name for name in given if name not in owners]
    if lost:
        engine.logger.warning(
            "The state that is loaded holds that of %s, which is not attached. Attach handlers before loading.",
            ", ".join(lost),
        )
    new = [name for name in owners if name not in given]
    if new:
        engine.logger.warning("The state that is loaded holds nothing for %s, which begins anew.", ", ".join(new))


@contextmanager
def _not_reentered(engine: EventDispatcher) -> Iterator[bool]:
    """Tell whether nobody asks the handlers of `engine` already, as one does that has the engine in its own state."""
    first = id(engine) not in _asked
    _asked.add(id(engine))
    try:
        yield first
    finally:
        if first:
            _asked.remove(id(engine))


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
