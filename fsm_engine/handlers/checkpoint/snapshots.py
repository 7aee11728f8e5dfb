"""`snapshot`: remember the state of an object, so that a failed load can be undone."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any, TypeGuard

import torch
from torch import nn

from fsm_engine.engine.engine import Engine
from fsm_engine.handlers.checkpoint.background_writer import host_copy
from fsm_engine.persistence.snapshot import engine_snapshot

_logger = logging.getLogger(__name__)

Restore = Callable[[], None]


def snapshot(target: Any) -> Restore:
    """Return a function that resets `target` to its current state.

    Tensors are copied to the host's memory. Those in an optimizer are not copied, because a load replaces them.
    """
    if isinstance(target, Engine):
        return engine_snapshot(target)
    if isinstance(target, nn.Module):
        return _module_snapshot(target)
    if has_standard_loading(target):
        return _attributes_snapshot(target)
    return _object_snapshot(target)


def has_standard_loading(target: Any) -> TypeGuard[torch.optim.Optimizer]:
    """Return True if `target` is an optimizer with the ``load_state_dict`` of `torch.optim.Optimizer`."""
    base = torch.optim.Optimizer
    return isinstance(target, base) and type(target).load_state_dict is base.load_state_dict


def _attributes_snapshot(target: Any) -> Restore:
    saved = dict(getattr(target, "__dict__", {}))

    def restore() -> None:
        if saved:
            attributes = vars(target)
            attributes.clear()
            attributes.update(saved)

    return restore


def _object_snapshot(target: Any) -> Restore:
    restore_attributes = _attributes_snapshot(target)
    state = _copied(target.state_dict) if hasattr(target, "state_dict") else None

    def restore() -> None:
        restore_attributes()
        if state is not None:
            _load(target.load_state_dict, state, target)

    return restore


def _module_snapshot(module: nn.Module) -> Restore:
    modules = list(module.modules())
    attributes = [_attributes_snapshot(one) for one in modules]
    tables: list[tuple[dict[str, Any], dict[str, Any]]]
    tables = [(table, dict(table)) for one in modules for table in (one._parameters, one._buffers)]
    values = [
        (tensor, tensor.detach().to("cpu", copy=True))
        for tensor in (*module.parameters(), *module.buffers())
        if not nn.parameter.is_lazy(tensor)
    ]
    extra = [(one, copy.deepcopy(one.get_extra_state())) for one in modules if _has_extra_state(one)]

    def restore() -> None:
        for restore_attributes in attributes:
            restore_attributes()
        for table, saved in tables:
            table.clear()
            table.update(saved)
        with torch.no_grad():
            for tensor, value in values:
                tensor.data.copy_(value)
        for one, state in extra:
            _load(one.set_extra_state, state, one)

    return restore


def _copied(get_state: Callable[[], Any]) -> Any:
    """Return a copy of a state; None if the object has no state before it is loaded or used."""
    try:
        return host_copy(get_state())
    except Exception:
        _logger.debug("There is no state to restore if the load fails.", exc_info=True)
        return None


def _load(load: Callable[[Any], Any], state: Any, target: Any) -> None:
    try:
        load(state)
    except Exception:
        _logger.exception("%s could not be given back the state that it had before the failed load.", type(target))


def _has_extra_state(module: nn.Module) -> bool:
    return type(module).get_extra_state is not nn.Module.get_extra_state
