"""`set_aside`: run an engine from zero without losing its suspended run."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from fsm_engine._util.errors import BusyError
from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.runtime.run import PARTS
from fsm_engine.runtime.state import State


@contextmanager
def set_aside(engine: EventDispatcher) -> Iterator[None]:
    """Reset `engine` inside the ``with`` block, so that a run starts from zero, and restore it afterwards.

    Inside the block the state is a shallow copy, in which dictionaries and lists are copied, too.

    Raises:
        BusyError: the engine is running.
    """
    if engine.is_running:
        raise BusyError(f"the engine is running; it is in {engine.phase}. Try again after its run has ended.")
    state, has_loaded_state = engine.state, engine._has_loaded_state
    parts = {name: getattr(engine, name) for name in PARTS}
    fire_counts = {entry: entry.fire_count for entry in engine._entries.values()}
    engine.state, engine._has_loaded_state = _copy_without_limits(state), False
    for name, part in parts.items():
        setattr(engine, name, type(part)())
    try:
        yield
    finally:
        engine.state, engine._has_loaded_state = state, has_loaded_state
        for name, part in parts.items():
            setattr(engine, name, part)
        for entry, count in fire_counts.items():
            entry.fire_count = count
        engine._invalidate()


def _copy_without_limits(state: State) -> State:
    twin = copy.copy(state)
    for name, value in twin.attributes().items():
        if isinstance(value, (dict, list)):
            setattr(twin, name, copy.copy(value))
    twin.max_epochs = twin.max_iters = twin.epoch_length = None
    return twin
