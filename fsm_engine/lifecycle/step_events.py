"""`StepEvents`: the phases of a supervised training step."""

from __future__ import annotations

from fsm_engine.events.events import EventEnum, Events
from fsm_engine.runtime.state import State


class StepEvents(EventEnum):
    """Phases of the training step of the supervised factories, inside ITERATION_STARTED.

    If a handler is attached to one of them, to its exit, or to an edge from or to it, the state holds the values that
    the step has computed: ``x`` and ``y`` from FORWARD_STARTED on, ``y_pred`` from FORWARD_COMPLETED on, and ``loss``
    from LOSS_COMPLETED on. The attributes are deleted when the step ends, so that they do not keep the autograd graph
    alive. At BACKWARD_COMPLETED the parameters hold the gradients, to be clipped or logged. With a gradient scaler the
    gradients are scaled; call ``scaler.unscale_(optimizer)`` first.

    With gradient accumulation, only every n-th iteration goes through the optimizer's phases.
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
"""Path of a step that ends with an optimizer step."""

ACCUMULATING = StepEvents.BACKWARD_COMPLETED >> Events.ITERATION_COMPLETED
"""Path out of a step that accumulates its gradients for the next one."""

_VALUES = ("x", "y", "y_pred", "loss")


def drop_values(state: State) -> None:
    """Delete the values of a step from the state."""
    for name in _VALUES:
        if hasattr(state, name):
            delattr(state, name)
