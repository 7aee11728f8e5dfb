"""Automatic mixed precision: steps that run under autocast with an optional gradient scaler, and their argument checks.

Autocast covers the forward pass and the loss only, so that handlers of `StepEvents` run in full precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch

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
    """A training step under autocast, with loss scaling if `scaler` is not None."""

    device_type: str
    scaler: GradScaler | None

    def state_dict(self) -> dict[str, Any]:
        """Return the accumulated gradients that the optimizer has not applied yet, and the state of the scaler."""
        return {**super().state_dict(), "scaler": None if self.scaler is None else self.scaler.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the gradients and the scaler that `state_dict` returned."""
        super().load_state_dict(state_dict)
        if self.scaler is not None and state_dict["scaler"] is not None:
            self.scaler.load_state_dict(state_dict["scaler"])

    def _forward(self, x: Any) -> Any:
        with torch.amp.autocast(self.device_type):
            return super()._forward(x)

    def _loss(self, y_pred: Any, y: Any) -> torch.Tensor:
        with torch.amp.autocast(self.device_type):
            return super()._loss(y_pred, y)

    def _backward(self, loss: torch.Tensor) -> None:
        super()._backward(loss if self.scaler is None else self.scaler.scale(loss))

    def _step_optimizer(self) -> None:
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()


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
        RuntimeError: for an XLA device without PyTorch XLA.
    """
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
