"""Automatic mixed precision: steps that run under autocast with an optional gradient scaler, and their argument checks.

Autocast covers the forward pass and the loss only, so that handlers of `StepEvents` run in full precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from fsm_engine.engine.engine import Engine
from fsm_engine.supervised.evaluation_step import EvaluationStep
from fsm_engine.supervised.step_functions import Device
from fsm_engine.supervised.training_step import TrainingStep

if TYPE_CHECKING:
    from torch.amp import GradScaler  # since torch 2.3

_IGNITE_ONLY_MODES = {
    "apex": ("apex", "Please install apex from https://github.com/nvidia/apex to use amp_mode='apex'."),
    "tpu": ("torch_xla", "torch_xla cannot be imported, please install PyTorch XLA."),
}


@dataclass(eq=False)
class AmpTrainingStep(TrainingStep):
    """A training step under autocast."""

    device_type: str

    def _predict(self, x: Any) -> Any:
        with torch.amp.autocast(self.device_type):
            return super()._predict(x)

    def compute_loss(self, engine: Engine) -> None:
        """Set the loss, computed under autocast."""
        with torch.amp.autocast(self.device_type):
            super().compute_loss(engine)


@dataclass(eq=False)
class ScaledTrainingStep(AmpTrainingStep):
    """A training step under autocast whose loss and gradients are scaled, so that small gradients do not become 0."""

    is_scaled: ClassVar[bool] = True
    scaler: GradScaler
    _is_unscaled: bool = field(init=False, default=False)
    _has_stepped: bool = field(init=False, default=True)

    @property
    def may_skip(self) -> bool:  # type: ignore[override]
        """True if the scaler reads on the host whether a gradient has overflowed; fused optimizers do not need that."""
        is_fused = getattr(self.optimizer, "_step_supports_amp_scaling", False)
        return isinstance(self.optimizer, torch.optim.Optimizer) and not is_fused

    @property
    def has_skipped(self) -> bool:  # type: ignore[override]
        """True if the scaler has skipped the last step of the optimizer."""
        return not self._has_stepped

    def _backward(self, loss: torch.Tensor) -> None:
        super()._backward(self.scaler.scale(loss))

    def unscale(self, _engine: Engine) -> None:
        """Unscale the gradients."""
        self.scaler.unscale_(self.optimizer)
        self._is_unscaled = True

    def step_optimizer(self, _engine: Engine) -> None:
        """Let the optimizer step unless a gradient has overflowed, and update the scale."""
        if self.may_skip:
            self._has_stepped = False
            hook = self.optimizer.register_step_post_hook(self._note_step)  # reading the flag again would wait again
            try:
                self.scaler.step(self.optimizer)
            finally:
                hook.remove()
        else:
            self.scaler.step(self.optimizer)
        self.scaler.update()
        self._is_unscaled = False
        self._applied_gradients()

    def _note_step(self, *_arguments: Any) -> None:
        self._has_stepped = True

    def abandon(self) -> None:
        """Drop the gradients of this iteration after an error, and let the scaler unscale new ones."""
        super().abandon()
        if self._is_unscaled:
            self.scaler.update(self.scaler.get_scale())  # keeps the scale
            self._is_unscaled = False

    def state_dict(self) -> dict[str, Any]:
        """Return the accumulated gradients that the optimizer has not applied yet, and the state of the scaler."""
        return {**super().state_dict(), "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the gradients and the scaler that `state_dict` returned."""
        super().load_state_dict(state_dict)
        if state_dict["scaler"] is not None:
            self.scaler.load_state_dict(state_dict["scaler"])


@dataclass(eq=False)
class AmpEvaluationStep(EvaluationStep):
    """An evaluation step under autocast."""

    device_type: str

    def _forward(self, x: Any) -> Any:
        with torch.amp.autocast(self.device_type):
            return super()._forward(x)


def check_amp(device: Device, amp_mode: str | None, scaler: bool | GradScaler = False) -> None:
    """Raise if `amp_mode` does not exist, or `device` or `scaler` cannot be used with it.

    Raises:
        ValueError: for an unknown `amp_mode`, one that `device` does not support, or a `scaler` without "amp".
        ModuleNotFoundError: for a mode of pytorch-ignite that is not supported here, if its library is missing.
        RuntimeError: for an unknown device, or an XLA device without PyTorch XLA.
    """
    if isinstance(device, str):
        torch.device(device)  # raises for an unknown device
    kind = device_type(device)
    if kind == "xla" and find_spec("torch_xla") is None:
        raise RuntimeError(f"In order to run on TPU, please install PyTorch XLA; device is {str(device)!r}.")
    if amp_mode is not None and kind in ("mps", "xla"):
        raise ValueError(f"amp_mode cannot be used with {kind} device. Consider using amp_mode=None or device='cuda'.")
    if scaler and amp_mode != "amp":
        raise ValueError(f"scaler argument is {scaler}, but amp_mode is {amp_mode}. Consider using amp_mode='amp'.")
    if amp_mode in (None, "amp"):
        return
    fix = "Consider using amp_mode='amp', torch's own mixed precision, the only supported mode."
    library, missing = _IGNITE_ONLY_MODES.get(amp_mode, ("", ""))
    if library and find_spec(library) is None:
        raise ModuleNotFoundError(f"{missing} {fix}")
    raise ValueError(f"amp_mode is {amp_mode!r}. {fix}")


def device_type(device: Device) -> str:
    """Return the type of `device`, such as "cpu"; "cuda" for None."""
    return "cuda" if device is None else str(device).partition(":")[0]


def make_scaler(scaler: bool | GradScaler, device: Device) -> GradScaler | None:
    """Return `scaler` itself, a new gradient scaler for True, or None for False.

    Raises:
        ImportError: for True, if torch is older than 2.3.
    """
    if not isinstance(scaler, bool):
        return scaler
    if not scaler:
        return None
    try:
        from torch.amp import GradScaler
    except ImportError:
        raise ImportError("Please install torch>=2.3.1 to use scaler argument.") from None
    return GradScaler(device_type(device))
