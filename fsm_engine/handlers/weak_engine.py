"""`WeakEngine`: a reference from a handler to an engine that it does not keep alive."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class WeakEngine:
    """Refer to an engine weakly. Call it to get the engine, or None if the engine is gone.

    The trainer and the evaluator often have handlers that refer to the other engine. With strong references, these
    would be cycles. Unlike a `weakref.ref`, a `WeakEngine` can be copied and pickled. A deep copy refers to the same
    engine. A pickle contains the engine, which is freed after loading unless the pickle has a strong reference to it.
    """

    def __init__(self, engine: Engine | None) -> None:
        self._ref = None if engine is None else weakref.ref(engine)

    def __call__(self) -> Engine | None:
        """Return the engine, or None if it is gone."""
        return None if self._ref is None else self._ref()

    def __deepcopy__(self, memo: dict[int, Any]) -> WeakEngine:
        return self  # nothing would keep a copy of the engine alive

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self(),)
