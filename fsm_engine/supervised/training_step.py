"""The supervised training step: forward, loss, backward, and the optimizer step, with gradient accumulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from fsm_engine.engine.engine import Engine
from fsm_engine.events.edges import Edge, Path
from fsm_engine.lifecycle.step_events import ACCUMULATING, WHOLE_STEP, StepEvents, drop_values
from fsm_engine.supervised.step_functions import Device, LossFunction, ModelFunction, PrepareBatch

(
    _FORWARD_STARTED,
    _FORWARD_COMPLETED,
    _LOSS_COMPLETED,
    _BACKWARD_STARTED,
    _BACKWARD_COMPLETED,
    _OPTIM_STEP_STARTED,
    _OPTIM_STEP_COMPLETED,
) = StepEvents  # module constants, because looking up enum members in every iteration is slower


def _fire_nothing(_event: StepEvents) -> None:
    """Replace `Engine.fire_event` for engines that do not have the phases of `StepEvents`."""


@dataclass(eq=False)
class TrainingStep:
    """A step that trains a model on one batch; `supervised_training_step` documents the fields."""

    __name__: ClassVar[str] = "supervised_training_step"  # the name in lifecycle files and messages
    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    loss_fn: LossFunction
    device: Device
    non_blocking: bool
    prepare_batch: PrepareBatch
    model_transform: Callable[[Any], Any]
    output_transform: Callable[[Any, Any, Any, torch.Tensor], Any]
    gradient_accumulation_steps: int
    model_fn: ModelFunction
    _has_unapplied_gradients: bool = field(init=False, default=False)

    @property
    def paths(self) -> tuple[Path | Edge, ...]:
        """Paths through the phases of the step, which `Lifecycle.training` adds to the graph."""
        return (WHOLE_STEP,) if self.gradient_accumulation_steps == 1 else (WHOLE_STEP, ACCUMULATING)

    def __call__(self, engine: Engine, batch: Any) -> Any:
        """Train on `batch`, and return the result of `output_transform`."""
        state, steps = engine.state, self.gradient_accumulation_steps
        fire = engine.fire_event if engine.has_registered_events(_FORWARD_STARTED) else _fire_nothing
        observed = engine.has_handlers(StepEvents)
        try:
            if not self.model.training:
                self.model.train()
            if (state.iteration - 1) % steps == 0:
                self.optimizer.zero_grad()
            x, y = self.prepare_batch(batch, device=self.device, non_blocking=self.non_blocking)
            if observed:
                state.x, state.y = x, y
            fire(_FORWARD_STARTED)
            y_pred = self._forward(x)
            if observed:
                state.y_pred = y_pred
            fire(_FORWARD_COMPLETED)
            loss = self._loss(y_pred, y)
            if observed:
                state.loss = loss
            fire(_LOSS_COMPLETED)
            fire(_BACKWARD_STARTED)
            self._backward(loss if steps == 1 else loss / steps)
            fire(_BACKWARD_COMPLETED)
            if state.iteration % steps == 0:
                fire(_OPTIM_STEP_STARTED)
                self._step_optimizer()
                self._has_unapplied_gradients = False
                fire(_OPTIM_STEP_COMPLETED)
            else:
                self._has_unapplied_gradients = True
            return self.output_transform(x, y, y_pred, loss)
        finally:
            if observed:
                drop_values(state)

    def state_dict(self) -> dict[str, Any]:
        """Return the accumulated gradients that the optimizer has not applied yet; torch saves them nowhere."""
        return {"gradients": [p.grad for p in self._parameters()] if self._has_unapplied_gradients else []}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the gradients that `state_dict` returned."""
        gradients = state_dict["gradients"]
        self._has_unapplied_gradients = bool(gradients)
        for parameter, gradient in zip(self._parameters(), gradients):
            parameter.grad = None if gradient is None else gradient.to(parameter.device, copy=True)

    def _parameters(self) -> list[torch.nn.Parameter]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def _forward(self, x: Any) -> Any:
        return self.model_transform(self.model_fn(self.model, x))

    def _loss(self, y_pred: Any, y: Any) -> torch.Tensor:
        return self.loss_fn(y_pred, y)  # type: ignore[no-any-return]

    def _backward(self, loss: torch.Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]  # in some versions of torch

    def _step_optimizer(self) -> None:
        self.optimizer.step()
