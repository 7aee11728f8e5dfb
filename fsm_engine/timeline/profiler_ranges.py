"""The phases of a run as ranges in a profile of `torch.profiler`, or in NVTX or ITT while torch emits those."""

from __future__ import annotations

from typing import Any

from fsm_engine.engine.engine import Engine
from fsm_engine.graph.code import runs_user_code
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.transitions import History, Transition, Trigger
from fsm_engine.lifecycle.table import qualified_name


class ProfilerRanges:
    """Opens a range for each phase with an activity of the user, while a profiler is active in this thread.

    A phase that the step fires is a range inside the step's range. A phase that only calls handlers has no range: a
    profiler is stepped in a handler, and a range that begins before the profiler would end inside it.

    Raises:
        ImportError: torch is not installed.
    """

    def __init__(self) -> None:
        from torch.autograd import _profiler_enabled  # type: ignore[attr-defined]  # pyright: ignore
        from torch.profiler import record_function

        self._is_profiling, self._new_range = _profiler_enabled, record_function
        self._open: list[tuple[bool, Any]] = []  # whether the step fired the phase, and its range

    def observe(self, engine: Engine, transition: Transition) -> None:
        """Close the ranges that a transition leaves, and open the range of the phase that it enters."""
        fired = transition.trigger is Trigger.FIRED
        if self._open:
            self.close(fired)
        if self._is_profiling():
            name = _range_name(engine.lifecycle.graph, transition)
            if name is not None:
                opened = self._new_range(name)
                opened.__enter__()  # type: ignore[no-untyped-call]
                self._open.append((fired, opened))

    def close(self, fired: bool = False) -> None:
        """Close all open ranges, innermost first; with `fired`, only the range of a phase that the step fired."""
        while self._open and (self._open[-1][0] or not fired):
            self._open.pop()[1].__exit__(None, None, None)


def _range_name(graph: Graph, transition: Transition) -> str | None:
    """Return the name of the range that a transition opens; None if its target has no range."""
    if isinstance(transition.target, History):
        return None
    phase = graph.phases[graph.index[transition.target]]
    has_range = transition.trigger is Trigger.FIRED or runs_user_code(phase.activity)
    return qualified_name(phase) if has_range else None
