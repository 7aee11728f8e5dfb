"""A reference from a handler to an engine that is not its own, which would often be one link of a cycle."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class WeakEngine:
    """Refers to an engine without keeping it alive; called, it returns the engine, None if that is gone.

    Pickled, it takes the engine along, which lives on if something else in the same pickle refers to it.
    """

    def __init__(self, engine: Engine | None) -> None:
        self._engine: Callable[[], Engine | None] = _nothing if engine is None else weakref.ref(engine)

    def __call__(self) -> Engine | None:
        return self._engine()

    def __deepcopy__(self, memo: dict[int, Any]) -> WeakEngine:
        return self  # a copy of the engine would be gone at once

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self(),)


def _nothing() -> None:
    return None
