"""`supervised_training_step_amp` and `supervised_evaluation_step_amp`: steps of mixed precision, by Ignite's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine.supervised import supervised_evaluation_step, supervised_training_step
from fsm_engine.supervised.step_functions import (
    Device,
    LossFunction,
    ModelFunction,
    PrepareBatch,
    call_model,
    identity,
    loss_output,
    prediction_output,
    prepare_pair,
)

if TYPE_CHECKING:
    from torch.amp import GradScaler  # since torch 2.3

    from fsm_engine.engine.engine import Engine

Step = Callable[["Engine", Any], Any]


def supervised_training_step_amp(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_fn: LossFunction,
    device: Device = None,
    non_blocking: bool = False,
    prepare_batch: PrepareBatch = prepare_pair,
    model_transform: Callable[[Any], Any] = identity,
    output_transform: Callable[[Any, Any, Any, torch.Tensor], Any] = loss_output,
    scaler: GradScaler | None = None,
    gradient_accumulation_steps: int = 1,
    model_fn: ModelFunction = call_model,
) -> Step:
    """Return ``supervised_training_step(..., amp_mode="amp", scaler=scaler)``, which documents the arguments."""
    return supervised_training_step(
        model,
        optimizer,
        loss_fn,
        device,
        non_blocking,
        prepare_batch,
        model_transform,
        output_transform,
        gradient_accumulation_steps,
        model_fn,
        amp_mode="amp",
        scaler=scaler or False,
    )


def supervised_evaluation_step_amp(
    model: torch.nn.Module,
    device: Device = None,
    non_blocking: bool = False,
    prepare_batch: PrepareBatch = prepare_pair,
    model_transform: Callable[[Any], Any] = identity,
    output_transform: Callable[[Any, Any, Any], Any] = prediction_output,
    model_fn: ModelFunction = call_model,
) -> Step:
    """Return ``supervised_evaluation_step(..., amp_mode="amp")``, which documents the arguments."""
    return supervised_evaluation_step(
        model,
        device,
        non_blocking,
        prepare_batch,
        model_transform,
        output_transform,
        model_fn,
        amp_mode="amp",
    )
