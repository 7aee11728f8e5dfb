"""The phases of a run as ranges in what `torch.profiler` records, or in NVTX and ITT while torch emits those."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsm_engine.graph.code import runs_user_code
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.transitions import History, Transition, Trigger
from fsm_engine.lifecycle.table import qualified_name

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class Ranges:
    """Opens a range for each phase that does something of the user's, while a profiler is active in this thread.

    What a step fires is a range inside that of the step. Phases that only call handlers have none: a profiler is
    stepped in a handler, and what it opens there stays open beyond the phase.

    Raises:
        ImportError: if torch is not installed.
    """

    def __init__(self) -> None:
        from torch.autograd import _profiler_enabled  # type: ignore[attr-defined]  # pyright: ignore
        from torch.profiler import record_function

        self._is_active, self._make = _profiler_enabled, record_function
        self._open: list[tuple[bool, Any]] = []

    def follow(self, engine: Engine, transition: Transition) -> None:
        """End the ranges that a move leaves, and open that of the phase which it enters."""
        fired = transition.trigger is Trigger.FIRED
        if self._open:
            self.close(fired)
        if self._is_active():
            name = _name(engine.lifecycle.graph, transition)
            if name is not None:
                range_ = self._make(name)
                range_.__enter__()  # type: ignore[no-untyped-call]
                self._open.append((fired, range_))

    def close(self, fired: bool = False) -> None:
        """End the ranges that are open, the innermost first: all of them, or that of a phase which a step fired."""
        while self._open and (self._open[-1][0] or not fired):
            self._open.pop()[1].__exit__(None, None, None)


def _name(graph: Graph, transition: Transition) -> str | None:
    """Return the name of the range that a move opens; None if its target has none."""
    if isinstance(transition.target, History):
        return None
    phase = graph.phases[graph.index[transition.target]]
    own = transition.trigger is Trigger.FIRED or runs_user_code(phase.activity)
    return qualified_name(phase) if own else None
