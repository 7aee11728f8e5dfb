"""`engine_snapshot`: remember the state of an engine, so that a failed load can be undone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fsm_engine._util.plain_data import is_foreign, is_tensor, map_leaves
from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.persistence.handler_state import handler_states, load_handler_states, load_step_state, step_state
from fsm_engine.runtime.part import Part
from fsm_engine.runtime.pending_signals import PendingSignals
from fsm_engine.runtime.run import PARTS

_logger = logging.getLogger(__name__)


def engine_snapshot(engine: EventDispatcher) -> Callable[[], None]:
    """Return a function that resets the run, the state, the step and the handlers of `engine` to what they are now.

    Tensors in the states of the step and the handlers are copied to the host's memory.
    """
    parts = [getattr(engine, name) for name in PARTS]
    saved = [(part, {name: getattr(part, name) for name in _names(part)}) for part in parts]
    state, attributes = engine.state, engine.state.attributes()
    has_loaded_state = engine._has_loaded_state
    fire_counts = [(entry, entry.fire_count) for entry in engine._entries.values()]
    step, handlers = _copied(lambda: step_state(engine)), _copied(lambda: handler_states(engine))

    def restore() -> None:
        for part, values in saved:
            for name, value in values.items():
                setattr(part, name, value)
        for name in state.attributes().keys() - attributes.keys():
            delattr(state, name)
        for name, value in attributes.items():
            setattr(state, name, value)
        engine._has_loaded_state = has_loaded_state
        for entry, count in fire_counts:
            entry.fire_count = count
        if step is not None:
            _load(lambda: load_step_state(engine, step), engine)
        if handlers is not None:
            _load(lambda: load_handler_states(engine, handlers), engine)

    return restore


def _names(part: Part) -> list[str]:
    """Return the attributes that a load may change. Others may be changed by a signal or a thread at any time."""
    return [name for name in part.__slots__ if not (isinstance(part, PendingSignals) and name in part.PROCESS)]


def _copied(get_state: Callable[[], Any]) -> Any:
    """Return a copy of a state; None if the object has no state before it is loaded or used."""
    try:
        return map_leaves(_copy_of, get_state(), is_foreign)
    except Exception:
        _logger.debug("There is no state to restore if the load fails.", exc_info=True)
        return None


def _copy_of(leaf: Any) -> Any:
    if is_tensor(leaf):
        return leaf.detach().to("cpu", copy=True)
    return leaf.copy() if hasattr(leaf, "copy") else leaf


def _load(load: Callable[[], None], engine: EventDispatcher) -> None:
    try:
        load()
    except Exception:
        _logger.exception("%r could not be given back the state that it had before the failed load.", engine)
