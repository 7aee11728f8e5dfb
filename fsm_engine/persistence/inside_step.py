"""A check that a run is not suspended inside a step, whose values belong to the autograd graph of this process."""

from __future__ import annotations

from fsm_engine._util.errors import BusyError
from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.graph.positions import phase_at


def raise_if_inside_step(engine: EventDispatcher, verb: str) -> None:
    """Raise if the run of `engine` is suspended between two parts of a step.

    Raises:
        BusyError: it is; the message names the next phase in which it is not.
    """
    graph, position = engine._graph, engine._cursor.suspended_at
    if position is None or not graph.is_inside_step(position):
        return
    following = graph.after_step
    where = f"run(until={following})" if following else "run()"
    raise BusyError(
        f"the run is suspended inside the step, in {graph.phases[phase_at(position)]}, and cannot be {verb} there, "
        f"because x, y_pred and loss belong to an autograd graph of this process. Resume it with {where}, and repeat "
        f"the call then."
    )
