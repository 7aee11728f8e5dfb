"""Running an engine from zero without losing its suspended run."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fsm_engine._util.errors import BusyError
from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.runtime.run import PARTS


@contextmanager
def set_aside(engine: EventDispatcher) -> Iterator[None]:
    """Let the next run of `engine` start from zero; after the block it stands where it stood, suspended or not.

    Inside the block it has a copy of its state; what that refers to is shared, but for dictionaries and lists.

    Raises:
        BusyError: while it runs.
    """
    if engine._running:
        raise BusyError(f"the engine is running, in {engine.phase}. Do this when its run has ended.")
    state, loaded = engine.state, engine._has_loaded_state
    parts = {name: getattr(engine, name) for name in PARTS}
    fired = {entry: entry.fire_count for entry in engine._entries.values()}
    engine.state, engine._has_loaded_state = _fresh(state), False
    for name, part in parts.items():
        setattr(engine, name, type(part)())
    try:
        yield
    finally:
        engine.state, engine._has_loaded_state = state, loaded
        for name, part in parts.items():
            setattr(engine, name, part)
        for entry, count in fired.items():
            entry.fire_count = count
        engine._invalidate()


def _fresh(state: Any) -> Any:
    twin = copy.copy(state)
    for name, value in twin.attributes().items():
        if isinstance(value, (dict, list)):
            setattr(twin, name, copy.copy(value))
    twin.max_epochs = twin.max_iters = twin.epoch_length = None
    return twin
