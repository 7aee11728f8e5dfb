"""`StepEvents`: the phases of a supervised training step."""

from __future__ import annotations

from fsm_engine.events.events import EventEnum, Events
from fsm_engine.runtime.state import State


class StepEvents(EventEnum):
    """The phases that the training step of the supervised factories goes through, inside ITERATION_STARTED.

    While a handler is attached to one of them, to its exit, or to an edge from or to it, what the step has
    computed so far is on the state: ``x`` and ``y`` from FORWARD_STARTED on, ``y_pred`` from FORWARD_COMPLETED on,
    ``loss`` from LOSS_COMPLETED on. These attributes are taken away when the step ends, so nothing keeps the graph
    of the gradients alive. At BACKWARD_COMPLETED the gradients are in the parameters: the place to clip or log
    them. With a gradient scaler they are scaled; ``scaler.unscale_(optimizer)`` divides them.

    Where gradients are accumulated, the optimizer's phases come in every n-th iteration only.
    """

    FORWARD_STARTED = "forward_started"
    FORWARD_COMPLETED = "forward_completed"
    LOSS_COMPLETED = "loss_completed"
    BACKWARD_STARTED = "backward_started"
    BACKWARD_COMPLETED = "backward_completed"
    OPTIM_STEP_STARTED = "optim_step_started"
    OPTIM_STEP_COMPLETED = "optim_step_completed"


WHOLE_STEP = (
    Events.ITERATION_STARTED
    >> StepEvents.FORWARD_STARTED
    >> StepEvents.FORWARD_COMPLETED
    >> StepEvents.LOSS_COMPLETED
    >> StepEvents.BACKWARD_STARTED
    >> StepEvents.BACKWARD_COMPLETED
    >> StepEvents.OPTIM_STEP_STARTED
    >> StepEvents.OPTIM_STEP_COMPLETED
    >> Events.ITERATION_COMPLETED
)
"""The way through a step that ends with one of the optimizer."""

ACCUMULATING = StepEvents.BACKWARD_COMPLETED >> Events.ITERATION_COMPLETED
"""The way out of a step that leaves its gradients to the next."""

_VALUES = ("x", "y", "y_pred", "loss")


def drop_values(state: State) -> None:
    """Take away what a step has put on the state."""
    for name in _VALUES:
        if hasattr(state, name):
            delattr(state, name)
