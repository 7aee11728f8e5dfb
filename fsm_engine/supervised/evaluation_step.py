"""The supervised evaluation step: a forward pass in evaluation mode and without gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from fsm_engine.engine.engine import Engine
from fsm_engine.handlers.checkpoint.module_wrappers import unwrapped
from fsm_engine.supervised import mistakes
from fsm_engine.supervised.step_functions import Device, ModelFunction, PrepareBatch, prepare_pair


@dataclass(eq=False)
class EvaluationStep:
    """A step that runs a model on one batch; `supervised_evaluation_step` documents the fields."""

    __name__: ClassVar[str] = "supervised_evaluation_step"  # the name in lifecycle files and messages
    is_evaluation: ClassVar[bool] = True
    model: torch.nn.Module
    device: Device
    non_blocking: bool
    prepare_batch: PrepareBatch
    model_transform: Callable[[Any], Any]
    output_transform: Callable[[Any, Any, Any], Any]
    model_fn: ModelFunction
    inner_model: Any = field(init=False)  # a wrapper and the module in it have modes of their own

    def __post_init__(self) -> None:
        self.inner_model = unwrapped(self.model)

    def __call__(self, _engine: Engine, batch: Any) -> Any:
        """Run the model on `batch`, and return the result of `output_transform`."""
        if self.model.training or self.inner_model.training:
            self.model.eval()
        with torch.no_grad():
            x, y = self.prepare_batch(batch, device=self.device, non_blocking=self.non_blocking)
            return self.output_transform(x, y, self._forward(x))

    def hint_at_mistake(self, engine: Engine, error: Exception) -> str | None:
        """Return the probable mistake behind an `error` of this step, for a note; None if there is no sign of one."""
        return mistakes.hint(engine.state, self.model, self.device, self.prepare_batch is prepare_pair, error)

    def _forward(self, x: Any) -> Any:
        return self.model_transform(self.model_fn(self.model, x))
