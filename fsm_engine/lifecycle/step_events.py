"""`StepEvents` and `Tbptt_Events`: the phases of the supervised training steps, and their paths as fired phases."""

from __future__ import annotations

from fsm_engine.events.edges import Edge, Path
from fsm_engine.events.events import EventEnum, Events


class StepEvents(EventEnum):
    """Phases of the supervised training step, inside the iteration.

    The activity of each phase is a part of the step, which runs after the handlers of the phase. On the state are the
    values that the step has computed: ``x`` and ``y`` from FORWARD_STARTED on, ``y_pred`` from FORWARD_COMPLETED on,
    and ``loss`` from LOSS_COMPLETED on. Handlers and activities may change them. They are deleted when the step ends,
    so that they do not keep the autograd graph alive.

    At BACKWARD_COMPLETED the parameters hold the gradients; with a gradient scaler they are scaled until UNSCALED,
    which exists only then. At OPTIM_STEP_STARTED they are complete and unscaled, to be clipped or logged. With gradient
    accumulation, only every n-th iteration goes through UNSCALED and the phases of the optimizer. If a gradient has
    overflowed, the gradient scaler skips the optimizer step, and OPTIM_STEP_STARTED leads to ITERATION_COMPLETED. A
    fused optimizer decides on the device; then OPTIM_STEP_COMPLETED is entered in any case.

    Example:
        >>> model = torch.nn.Linear(1, 1)
        >>> trainer = create_supervised_trainer(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.nn.MSELoss())
        >>> _ = trainer.add_event_handler(StepEvents.BACKWARD_COMPLETED, lambda: print(model.weight.grad is not None))
        >>> _ = trainer.run([(torch.ones(1, 1), torch.ones(1, 1))])
        True
    """

    FORWARD_STARTED = "forward_started"
    FORWARD_COMPLETED = "forward_completed"
    LOSS_COMPLETED = "loss_completed"
    BACKWARD_STARTED = "backward_started"
    BACKWARD_COMPLETED = "backward_completed"
    UNSCALED = "unscaled"
    OPTIM_STEP_STARTED = "optim_step_started"
    OPTIM_STEP_COMPLETED = "optim_step_completed"


class Tbptt_Events(EventEnum):  # noqa: N801  # pytorch-ignite's name
    """The phases before and after each chunk of a sequence, within an iteration.

    Example:
        >>> model = torch.nn.RNN(1, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> trainer = create_supervised_tbptt_trainer(model, optimizer, torch.nn.MSELoss(), tbtt_step=2)
        >>> _ = trainer.add_event_handler(Tbptt_Events.TIME_ITERATION_COMPLETED, lambda: print("a chunk"))
        >>> _ = trainer.run([(torch.ones(4, 1, 1), torch.ones(4, 1, 1))])
        a chunk
        a chunk
    """

    TIME_ITERATION_STARTED = "time_iteration_started"
    TIME_ITERATION_COMPLETED = "time_iteration_completed"


def maker_hint(event: object) -> str:
    """Return a sentence with the function whose engines have the phase of `event`, with a space in front.

    It is empty if `event` is not an event of a supervised step.
    """
    if event is StepEvents.UNSCALED:
        return " Engines of create_supervised_trainer(..., amp_mode='amp', scaler=True) have this phase."
    if isinstance(event, StepEvents):
        return " Engines of create_supervised_trainer(...) have this phase."
    if isinstance(event, Tbptt_Events):
        return " Engines of create_supervised_tbptt_trainer(...) have this phase."
    return ""


_TO_BACKWARD = (
    Events.ITERATION_STARTED
    >> StepEvents.FORWARD_STARTED
    >> StepEvents.FORWARD_COMPLETED
    >> StepEvents.LOSS_COMPLETED
    >> StepEvents.BACKWARD_STARTED
    >> StepEvents.BACKWARD_COMPLETED
)

WHOLE_STEP = (
    _TO_BACKWARD >> StepEvents.OPTIM_STEP_STARTED >> StepEvents.OPTIM_STEP_COMPLETED >> Events.ITERATION_COMPLETED
)
"""Path of a step that ends with an optimizer step."""

ACCUMULATING = StepEvents.BACKWARD_COMPLETED >> Events.ITERATION_COMPLETED
"""Path out of a step that accumulates its gradients for the next one."""

SKIPPING = StepEvents.OPTIM_STEP_STARTED >> Events.ITERATION_COMPLETED
"""Path out of a step whose gradients have overflowed, so that the gradient scaler skips the optimizer step."""

_SCALED_STEP = (
    _TO_BACKWARD
    >> StepEvents.UNSCALED
    >> StepEvents.OPTIM_STEP_STARTED
    >> StepEvents.OPTIM_STEP_COMPLETED
    >> Events.ITERATION_COMPLETED
)

TBPTT_PATHS: tuple[Path | Edge, ...] = (
    Events.ITERATION_STARTED
    >> Tbptt_Events.TIME_ITERATION_STARTED
    >> StepEvents.FORWARD_STARTED
    >> StepEvents.FORWARD_COMPLETED
    >> StepEvents.LOSS_COMPLETED
    >> StepEvents.BACKWARD_STARTED
    >> StepEvents.BACKWARD_COMPLETED
    >> StepEvents.OPTIM_STEP_STARTED
    >> StepEvents.OPTIM_STEP_COMPLETED
    >> Tbptt_Events.TIME_ITERATION_COMPLETED
    >> Events.ITERATION_COMPLETED,
    Tbptt_Events.TIME_ITERATION_COMPLETED >> Tbptt_Events.TIME_ITERATION_STARTED,
)
"""Paths of a step that trains on a sequence chunk by chunk."""


def step_paths(accumulates: bool, is_scaled: bool, may_skip: bool) -> tuple[Path | Edge, ...]:
    """Return the paths of a training step for a function that fires its phases."""
    whole = _SCALED_STEP if is_scaled else WHOLE_STEP
    return (whole, *((ACCUMULATING,) if accumulates else ()), *((SKIPPING,) if may_skip else ()))
